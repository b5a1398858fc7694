"""Table of all experiments: headline figures, time, state, changed parameters."""

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.experiments.comparable import differing, effective
from siglip2_multimodal_hash.experiments.plan import BASELINES
from siglip2_multimodal_hash.experiments.progress import duration
from siglip2_multimodal_hash.experiments.repository import Recorded, Repository
from siglip2_multimodal_hash.params import flatten
from siglip2_multimodal_hash.reporting.text_tables import text_table

WIDTH = 100
FIGURES = ("knn", "mlp", "retrieval", "val_knn")
"""Columns; the figure that sorts the table comes first."""


def overview(repository: Repository, sort: str | None) -> str:
    """Lay out the experiments of a repository, figures in percent.

    An experiment is stale where its lock file records other code than this folder has; changed are
    the parameters that differ from the last commit's, without the baselines.

    Args:
        repository: The project.
        sort: A headline figure, the highest first; None: by date, the newest first.

    Raises:
        InputError: No repository of DVC with this project's stages.
        DataError: The parameters or the lock file of an experiment cannot be read.
    """
    found = [one for same in repository.experiments().values() for one in same]
    figures = {one: repository.headline(one.commit) for one in found}
    shown = tuple(dict.fromkeys((sort, *FIGURES) if sort else FIGURES))
    if sort:
        found.sort(key=lambda one: figures[one].get(sort, -1), reverse=True)
    rows = [
        (
            one.name,
            *(f"{100 * figures[one][name]:.1f}" if name in figures[one] else "" for name in shown),
            "" if (seconds := repository.seconds(one.commit)) is None else duration(seconds),
            *_state(one, repository),
        )
        for one in found
    ]
    last = len(shown) + 3
    table = text_table(("experiment", *shown, "time", "", "changed"), rows, (0, last - 1, last))
    return "".join(f"{_cut(line)}\n" for line in table.splitlines())


def _state(one: Recorded, repository: Repository) -> tuple[str, str]:
    """Whether it is stale, and its changed parameters."""
    here, before = repository.code_here, flatten(repository.params())
    try:
        stale = repository.code_version(one.commit) != here
        after = flatten(repository.params(one.commit))
    except DataError as error:
        raise DataError(f"{one.name}: {error}", f"`dvc exp remove {one.name}` drops it") from None
    changed = effective(differing(before, after)).items()
    shown = " ".join(f"{key}={new}" for key, (_, new) in changed if key not in BASELINES)
    return "stale" if stale else "", shown


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
