"""Duration of experiments, estimated from those that ``smhash ablate`` has run here."""

from collections.abc import Sequence
from statistics import fmean

from siglip2_multimodal_hash.experiments.plan import Plan, Planned
from siglip2_multimodal_hash.experiments.repository import Repository
from siglip2_multimodal_hash.progress import duration

UNKNOWN = "duration unknown: no comparable run was measured here yet"

_Kind = frozenset[str]


def estimate(todo: Sequence[Planned], plan: Plan, repository: Repository, jobs: int) -> str:
    """Duration of experiments together, as text.

    One takes as long as those that change parameters of the same sections did, if there are any,
    else as the mean of all, of the same dataset, protocol and backbone.

    Args:
        todo: Those to run.
        plan: Of all rows.
        repository: Keeps durations of what was run here; they stay behind when it is cloned.
        jobs: Number that run at a time.
    """
    measured = _measured(plan, repository)
    if not measured:
        return UNKNOWN
    every = [seconds for of in measured.values() for seconds in of]
    kinds = plan.kinds()
    like = [measured.get(kinds[_stem(one.name)], every) for one in todo]
    count = len(every)
    total = sum(map(fmean, like)) / min(jobs, len(todo))
    at_a_time = "one at a time" if jobs == 1 else f"{jobs} at a time"
    return f"about {duration(total)}, {at_a_time}, by {count} run{'s' * (count > 1)} measured here"


def _measured(plan: Plan, repository: Repository) -> dict[_Kind, list[float]]:
    """Durations by the sections whose parameters an experiment changes."""
    kinds, found = plan.kinds(), dict[_Kind, list[float]]()
    for name, same in repository.experiments().items():
        if (kind := kinds.get(_stem(name))) is None:
            continue
        for one in same:
            if (seconds := repository.seconds(one.commit)) is not None:
                found.setdefault(kind, []).append(seconds)
    return found


def _stem(name: str) -> str:
    """The name of an experiment without its seed."""
    return name.rpartition("-s")[0]
