"""Provenance of figures: number of pairs; commit, parameters and versions of their runs."""

import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.document import Weak
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.experiments.repository import LOCK_FILE, WORKSPACE, Repository
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import PARAMS_FILE, Params, flatten
from siglip2_multimodal_hash.reporting.tables import whole_coco

PACKAGE = "siglip2-multimodal-hash"
LIBRARIES = ("torch", "transformers", "faiss-cpu", "faiss-gpu", "numpy")
_DECIDES = (str(PARAMS_FILE), "dvc.yaml", LOCK_FILE, "src/", "stages/", "models/")
_SHORT = 7
_SHOWN = 3


@dataclass(frozen=True)
class Origin:
    """Provenance of one run.

    Attributes:
        params: The leaves of its params.yaml by their full names.
        commit: Of Git, shortened; of the workspace also whether files differ from it.
        experiment: Its name; empty where it has none.
    """

    params: Mapping[str, Any]
    commit: str = ""
    experiment: str = ""

    @classmethod
    def recorded(cls, params: Mapping[str, Any], commit: str, name: str) -> "Origin":
        """An experiment or a Git revision, as the user wrote it."""
        if commit == WORKSPACE:
            return cls.workspace(params)
        return cls(params, commit[:_SHORT], name)

    @classmethod
    def workspace(cls, params: Mapping[str, Any]) -> "Origin":
        """The state of the working folder; outside of Git without a commit."""
        try:
            repository = Repository()
        except (InputError, OSError):  # or Git itself is missing
            return cls(params)
        changed = any(path.startswith(_DECIDES) for path in repository.changed_files())
        commit = repository.head[:_SHORT] + (" with changes" if changed else "")
        return cls(params, commit, _applied(repository) if changed else "")


def pairs(params: Mapping[str, Any], images: int | None = None, split: str = "test") -> list[str]:
    """The number of pairs of a split, and how much of COCO the dataset is, if it is a part.

    Args:
        params: Of the run, by their full names.
        images: Their number; None: as the dataset's statistics in the working folder say.
        split: Its name.

    Returns:
        A line; none where the number is not known.
    """
    name, protocol = params["dataset.name"], params["dataset.protocol"]
    try:
        found = read_json(Path("data", name, "statistics.json"))
        here, total = int(found["splits"][split]["images"]), int(found["images"]["total"])
    except (DataError, KeyError, TypeError, ValueError):
        here, total = images or 0, 0
    images = images or here
    if not images:
        return []
    whole = whole_coco(params.get("dataset.kind", name), protocol, params["dataset.unlabelled"])
    # Statistics of another dataset than the run's would have another split.
    part = whole is not None and images == here and 0 < total < whole
    return [
        f"n = {images:,} {split} pairs of {name} ({protocol} split)"
        + (f"; part of COCO: {total:,} of {whole:,}" if part else "")
    ]


def footer(origins: Sequence[Origin], *lines: str, head: bool = True) -> Weak:
    """The last lines below a table: the provenance of its figures.

    Args:
        origins: Runs of which the table shows figures, at least one.
        lines: First lines, such as those of :func:`pairs`.
        head: Whether a head was trained for them; if not, they are of the dataset alone.
    """
    said = [
        _listed("commit", (one.commit for one in origins)),
        _listed("experiment", (one.experiment for one in origins)),
        _listed("seed", (one.params["seed"] for one in origins)),
    ]
    if head:
        said += [
            _listed("objective", (one.params["loss.objective"] for one in origins)),
            _listed("checkpoint", (_towers(one.params) for one in origins)),
        ]
    return Weak("\n".join([*lines, ", ".join(filter(None, said)), f"here: {versions()}"]))


def workspace_footer(
    params: Params, images: int | None = None, split: str = "test", *, head: bool = True
) -> Weak:
    """The :func:`footer` of figures of the working folder; see also :func:`pairs`."""
    known = flatten(params.model_dump())
    return footer([Origin.workspace(known)], *pairs(known, images, split), head=head)


def versions() -> str:
    """Versions of Python and of the libraries that decide figures, as installed here."""
    found = [f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        if number := installed(name):
            found.append(f"{name} {number}")
    return ", ".join(found)


def installed(name: str) -> str:
    """The version of a package; empty where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _applied(repository: Repository) -> str:
    """The experiment whose lock file the workspace has."""

    def blob(place: str) -> str:
        try:
            return repository.git("rev-parse", "--verify", "-q", place).strip()
        except subprocess.CalledProcessError:
            return ""

    try:
        here = repository.git("hash-object", LOCK_FILE).strip()
    except subprocess.CalledProcessError:
        return ""
    if here == blob(f"{repository.head}:./{LOCK_FILE}"):
        return ""
    experiments = (one for same in repository.experiments().values() for one in same)
    same = (one.name for one in experiments if blob(f"{one.commit}:./{LOCK_FILE}") == here)
    return next(same, "")


def _towers(params: Mapping[str, Any]) -> str:
    """The checkpoint with its revision, and how it was tuned."""
    checkpoint, revision = params["backbone.checkpoint"], params["backbone.revision"]
    identity = _identity(params) or ("" if Path(checkpoint).is_dir() else str(revision or ""))
    tuned = params.get("backbone.tune", "frozen")
    text = f"{checkpoint}@{identity}" if identity else str(checkpoint)
    return text if tuned == "frozen" else f"{text} tuned ({tuned})"


def _identity(params: Mapping[str, Any]) -> str:
    """Identity of the towers that embedded here: commit of the hub, or digest of the weights."""
    name = Path(params["dataset.name"], params["backbone.name"])
    try:
        meta = read_json("outputs" / name / "embeddings/meta.json")
        if meta["checkpoint"] != params["backbone.checkpoint"]:
            return ""
        if meta["commit"]:
            return str(meta["commit"])[:_SHORT]
        return str(next(iter(meta["weights_sha256"].values())))[:_SHORT]
    except (DataError, LookupError, TypeError, AttributeError, StopIteration):
        return ""


def _listed(name: str, values: Iterable[Any]) -> str:
    """The different values, at most a few of them, behind their name."""
    found = [text for text in dict.fromkeys(map(str, values)) if text]
    if not found:
        return ""
    plural = "" if len(found) == 1 or name.endswith("s") else "s"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{name}{plural} {', '.join(found[:_SHOWN])}{more}"
