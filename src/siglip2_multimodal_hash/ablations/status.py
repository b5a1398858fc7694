"""Which experiments are there already, which are missing, which are of another make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from siglip2_multimodal_hash.ablations.plan import BASELINES, Wanted
from siglip2_multimodal_hash.ablations.repository import Recorded, Repository
from siglip2_multimodal_hash.ablations.settings import differing_keys
from siglip2_multimodal_hash.reporting.experiments import flatten

_SHOWN = 3


class State(Enum):
    """What is known of an experiment's name."""

    THERE = "there"
    MISSING = "missing"
    OTHER = "other parameters"
    OTHER_CODE = "other code"


@dataclass(frozen=True)
class Status:
    """What is there under the name of one wanted experiment.

    Attributes:
        wanted: The experiment.
        state: ``THERE``: of this code and these parameters.
        recorded: The one that is there; of several, the one that fits or started here.
        why: What is other about it.
    """

    wanted: Wanted
    state: State
    recorded: Recorded | None = None
    why: str = field(default="", compare=False)


def statuses(wanted: Sequence[Wanted], repository: Repository) -> list[Status]:
    """Compare wanted experiments with the recorded ones of their names.

    Raises:
        DataError: The parameters of a recorded one cannot be read.
    """
    recorded = repository.experiments()
    code = repository.code_version()
    return [_status(one, recorded, code, repository) for one in wanted]


def _status(
    wanted: Wanted, recorded: Mapping[str, list[Recorded]], code: str, repository: Repository
) -> Status:
    found = [_judged(wanted, one, code, repository) for one in recorded.get(wanted.name, [])]
    for state in (State.THERE, State.OTHER_CODE, State.OTHER):
        for one in found:
            if one.state is state:
                return one
    return Status(wanted, State.MISSING)


def _judged(wanted: Wanted, one: Recorded, code: str, repository: Repository) -> Status:
    recorded = repository.params(one.commit)
    # A run with more baselines than are wanted is as good.
    more = {key for key in BASELINES if flatten(recorded).get(key)}
    keys = [key for key in differing_keys(wanted.params, recorded) if key not in more]
    if keys:
        shown = ", ".join(keys[:_SHOWN]) + (", ..." if keys[_SHOWN:] else "")
        return Status(wanted, State.OTHER, one, f"other parameters: {shown}")
    version = repository.code_version(one.commit)
    if version != code:
        return Status(wanted, State.OTHER_CODE, one, f"other code: {version} instead of {code}")
    return Status(wanted, State.THERE, one)
