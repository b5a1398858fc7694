"""State of planned experiments: done, stale or missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from siglip2_multimodal_hash.experiments.comparable import differing, effective
from siglip2_multimodal_hash.experiments.plan import BASELINES, Planned
from siglip2_multimodal_hash.experiments.repository import Recorded, Repository
from siglip2_multimodal_hash.params import flatten

_SHOWN = 3


class State(Enum):
    """State of an experiment's record."""

    DONE = "done"
    OTHER_CODE = "other code"
    OTHER_PARAMS = "other parameters"
    MISSING = "missing"


@dataclass(frozen=True)
class Status:
    """Record under the name of one planned experiment.

    Attributes:
        planned: The experiment.
        state: ``DONE``: with this code and these parameters.
        recorded: Of several, the one that fits best, or started here.
        why: The difference that makes it stale.
    """

    planned: Planned
    state: State
    recorded: Recorded | None = None
    why: str = field(default="", compare=False)

    @property
    def stale(self) -> bool:
        """Recorded with other code or parameters."""
        return self.state in (State.OTHER_CODE, State.OTHER_PARAMS)


def statuses(planned: Sequence[Planned], repository: Repository) -> list[Status]:
    """Compare planned experiments with the recorded ones of their names.

    Raises:
        DataError: The parameters or the lock file of a recorded one cannot be read.
    """
    recorded = repository.experiments()
    code = repository.code_here
    return [_status(one, recorded, code, repository) for one in planned]


def _status(
    planned: Planned, recorded: Mapping[str, list[Recorded]], code: str, repository: Repository
) -> Status:
    found = [_judged(planned, one, code, repository) for one in recorded.get(planned.name, [])]
    order = list(State)
    missing = Status(planned, State.MISSING)
    return min(found, key=lambda one: order.index(one.state), default=missing)


def _judged(planned: Planned, one: Recorded, code: str, repository: Repository) -> Status:
    recorded = flatten(repository.params(one.commit))
    # A run with more baselines than are planned is as good.
    more = {key for key in BASELINES if recorded.get(key)}
    keys = [
        key for key in effective(differing(flatten(planned.params), recorded)) if key not in more
    ]
    if keys:
        shown = ", ".join(keys[:_SHOWN]) + (", ..." if keys[_SHOWN:] else "")
        return Status(planned, State.OTHER_PARAMS, one, f"other parameters: {shown}")
    version = repository.code_version(one.commit)
    if version != code:
        return Status(planned, State.OTHER_CODE, one, f"other code: {version} instead of {code}")
    return Status(planned, State.DONE, one)
