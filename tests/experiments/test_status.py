"""State of planned experiments, by what is recorded under their names."""

import copy
from typing import Any

import pytest

from siglip2_multimodal_hash.experiments.plan import BASELINES, Planned
from siglip2_multimodal_hash.experiments.repository import Recorded, Repository
from siglip2_multimodal_hash.experiments.status import State, Status, statuses
from tests.experiments.test_rows import PLAN


class OneExperiment(Repository):
    """A repository with one experiment, of the parameters given and of this code."""

    code_here = "v1"

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        self._recorded, self._params = Recorded(name, "c0", "b0"), params

    def experiments(self) -> dict[str, list[Recorded]]:
        return {self._recorded.name: [self._recorded]}

    def code_version(self, commit: str) -> str:
        return "v1"

    def params(self, commit: str = "") -> dict[str, Any]:
        return self._params


def planned(row: str, variant: str) -> Planned:
    return PLAN.experiment(row, PLAN.rows[row].variant(variant), 0)


def state_of(one: Planned, **baselines: bool) -> Status:
    params = copy.deepcopy(one.params)
    params["baselines"] |= baselines
    (found,) = statuses([one], OneExperiment(one.name, params))
    return found


def test_the_same_parameters_are_done() -> None:
    assert state_of(planned("A2", "32")).state is State.DONE


@pytest.mark.parametrize("key", BASELINES)
def test_a_run_with_more_baselines_is_as_good(key: str) -> None:
    assert state_of(planned("A2", "32"), **{key.split(".")[1]: True}).state is State.DONE


def test_a_run_without_a_planned_baseline_is_stale() -> None:
    found = state_of(planned("methods", "SigLIP2-MLP"), classifiers=False)
    assert found.state is State.OTHER_PARAMS
    assert found.stale
    assert found.why == "other parameters: baselines.classifiers"
