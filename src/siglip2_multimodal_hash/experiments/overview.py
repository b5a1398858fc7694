"""Table of all experiments: headline figures, time, state, changed parameters."""

from collections.abc import Mapping

from siglip2_multimodal_hash.document import SHORTEST_NAME, Part, Table
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.experiments.comparable import differing, effective
from siglip2_multimodal_hash.experiments.plan import BASELINES
from siglip2_multimodal_hash.experiments.provenance import Origin, footer, pairs
from siglip2_multimodal_hash.experiments.repository import Recorded, Repository
from siglip2_multimodal_hash.params import flatten
from siglip2_multimodal_hash.progress import duration

FIGURES = ("knn", "mlp", "retrieval", "val_knn")
"""Columns; the figure that sorts the table comes first."""
# Longest values of parameters to try, until the changes fit.
VALUES = (1_000_000, 24, 12)


def overview(repository: Repository, sort: str | None, width: int) -> list[Part]:
    """Lay out the experiments of a repository, figures in percent.

    What is too long for a line is shortened: names and values in their middle, the changes at
    their end.

    An experiment is stale where its lock file records other code than this folder has; changed are
    the parameters that differ from the last commit's, without the baselines.

    Args:
        repository: The project.
        sort: A headline figure, the highest first; None: by date, the newest first.
        width: Of a line, in characters.

    Raises:
        InputError: No repository of DVC with this project's stages.
        DataError: The parameters or the lock file of an experiment cannot be read.
    """
    found = [one for same in repository.experiments().values() for one in same]
    figures = {one: repository.headline(one.commit) for one in found}
    shown = tuple(dict.fromkeys((sort, *FIGURES) if sort else FIGURES))
    if sort:
        found.sort(key=lambda one: figures[one].get(sort, -1), reverse=True)
    states = {one: _state(one, repository) for one in found}
    cells = [
        (
            *(f"{100 * figures[one][name]:.1f}" if name in figures[one] else "" for name in shown),
            "" if (seconds := repository.seconds(one.commit)) is None else duration(seconds),
            "stale" if states[one][0] else "",
        )
        for one in found
    ]
    head = (*shown, "time", "")
    taken = sum(2 + max(map(len, column)) for column in zip(head, *cells, strict=True)) + 2
    changes = [_changes(states[one][1], width) for one in found]
    longest = max(map(len, changes), default=0)
    room = max(SHORTEST_NAME, (width - taken) // 2, width - taken - longest)
    names = [_shortened(one.name, room) for one in found]
    left = width - taken - max(map(len, names), default=0)
    rows = [
        (name, *own, _changes(states[one][1], left))
        for one, name, own in zip(found, names, cells, strict=True)
    ]
    last = len(head) + 1
    params = flatten(repository.params())
    said = (
        "Percent; val_ is of val, the others of test. Changed: parameters, against the commit "
        "below. Stale: made with other code."
    )
    return [
        Table(("experiment", *head, "changed"), rows, (0, last - 1, last)),
        said,
        footer([Origin.workspace(params)], *pairs(params)),
    ]


def _state(one: Recorded, repository: Repository) -> tuple[bool, dict[str, str]]:
    """Staleness, and the new values of the changed parameters."""
    here, before = repository.code_here, flatten(repository.params())
    try:
        stale = repository.code_version(one.commit) != here
        after = flatten(repository.params(one.commit))
    except DataError as error:
        raise DataError(f"{one.name}: {error}", f"`dvc exp remove {one.name}` drops it") from None
    changed = effective(differing(before, after)).items()
    return stale, {key: str(new) for key, (_, new) in changed if key not in BASELINES}


def _changes(values: Mapping[str, str], width: int) -> str:
    for longest in VALUES:
        text = " ".join(f"{key}={_shortened(value, longest)}" for key, value in values.items())
        if len(text) <= width:
            break
    return _cut(text, max(width, 1))


def _shortened(text: str, width: int) -> str:
    """Text without its middle, where names and paths differ least."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"
