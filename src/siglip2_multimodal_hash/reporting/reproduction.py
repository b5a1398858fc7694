"""Comparison of this machine's figures with the committed ones."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.reporting.tables import figures_file

ALLOWED_POINTS = 1.5
"""Largest difference, in points (hundredths of a figure), that counts as reproduced.

CPUs of two makers sum in another order, and after some thousand updates the head is another one, as
by another seed. Between an Intel Xeon and an AMD EPYC the largest of 22 figures moved by 0.85;
seeds move the vote by a standard deviation of 0.6.
"""

_NO_FIGURES = "`make repro` computes the figures of this machine"
_OTHER_PARAMS = "`git stash` your changes, then `make repro`"


@dataclass(frozen=True)
class Difference:
    """One figure, here and in the last commit, as fractions of 1."""

    name: str
    committed: float
    here: float

    @property
    def points(self) -> float:
        """Absolute difference in points."""
        return 100 * abs(self.here - self.committed)

    @property
    def allowed(self) -> bool:
        """True if the difference is at most :data:`ALLOWED_POINTS`."""
        return self.points <= ALLOWED_POINTS


def differences_from_commit() -> list[Difference]:
    """Each figure of the workspace's summary with that of the last commit, largest first.

    Raises:
        InputError: No repository of Git and DVC, or params.yaml is not the committed one, so that
            other figures are expected.
        DataError: One of the two has no figures, not the same ones, or what is no number.
    """
    # Slow to import, and only this command needs it.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from scmrepo.exceptions import SCMError

    try:
        with Repo() as repo:
            changed = repo.params.diff(a_rev="HEAD").get("diff", {})
            params = load_params()
            path = str(figures_file(params.dataset.name, params.backbone.name))
            figures = repo.metrics.diff(a_rev="HEAD", all=True, targets=[path]).get("diff", {})
    except (DvcException, SCMError) as error:
        raise InputError(
            f"no figures of a commit: {error}", "work in a clone of the project"
        ) from None
    # What stands under `runtime` changes no result.
    changes = (key for leaves in changed.values() for key in leaves)
    keys = sorted(key for key in changes if not key.startswith("runtime."))
    if keys:
        raise InputError(
            f"params.yaml differs from the last commit ({', '.join(keys)}), so its figures are of "
            "another experiment",
            _OTHER_PARAMS,
        )
    found = [
        _difference(name, figure)
        for name, figure in figures.get(path, {}).items()
        if any(isinstance(figure.get(side), float) for side in ("old", "new"))
    ]
    if not found:
        raise DataError("neither the last commit nor this folder has figures", _NO_FIGURES)
    return sorted(found, key=lambda one: one.points, reverse=True)


def _difference(name: str, figure: dict[str, Any]) -> Difference:
    committed, here = figure.get("old"), figure.get("new")
    if committed is None or here is None:
        place = "the last commit" if committed is None else "this folder"
        raise DataError(f"{name}: {place} does not have it", _NO_FIGURES)
    for value in (committed, here):
        # NaN, too: no difference from it is large, and none can be sorted.
        if not isinstance(value, int | float) or not isfinite(value):
            raise DataError(f"{name}: {value!r} is no figure", _NO_FIGURES)
    return Difference(name, committed, here)
