"""Table of all experiments: headline figures, time, state, changed parameters."""

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
            "" if repository.code_version(one.commit) == repository.code_here else "stale",
            _changes(one, repository),
        )
        for one in found
    ]
    last = len(shown) + 3
    table = text_table(("experiment", *shown, "time", "", "changed"), rows, (0, last - 1, last))
    return "".join(f"{_cut(line)}\n" for line in table.splitlines())


def _changes(one: Recorded, repository: Repository) -> str:
    params = (flatten(repository.params(commit)) for commit in (repository.head, one.commit))
    changed = effective(differing(*params))
    return " ".join(f"{key}={new}" for key, (_, new) in changed.items() if key not in BASELINES)


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
