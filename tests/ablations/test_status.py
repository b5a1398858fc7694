"""Whether what is there under a name is what is wanted."""

import copy

import pytest

from siglip2_multimodal_hash.ablations.plan import BASELINES
from siglip2_multimodal_hash.ablations.repository import Recorded
from siglip2_multimodal_hash.ablations.status import State, statuses
from tests.ablations.test_rows import PLAN


class OneExperiment:
    """A repository with one experiment, of the parameters given and of this code."""

    def __init__(self, name, params):
        self._recorded, self._params = Recorded(name, "c0", "b0"), params

    def experiments(self):
        return {self._recorded.name: [self._recorded]}

    def code_version(self, commit="HEAD"):
        return "v1"

    def params(self, commit):
        return self._params


def wanted(row, variant):
    return PLAN.experiment(row, PLAN.rows[row].variant(variant), 0)


def state_of(one, **baselines):
    params = copy.deepcopy(one.params)
    params["baselines"] |= baselines
    (found,) = statuses([one], OneExperiment(one.name, params))
    return found


def test_the_same_parameters_are_there():
    assert state_of(wanted("A2", "32")).state is State.THERE


@pytest.mark.parametrize("key", BASELINES)
def test_a_run_with_more_baselines_is_as_good(key):
    assert state_of(wanted("A2", "32"), **{key.split(".")[1]: True}).state is State.THERE


def test_a_run_without_a_baseline_that_is_wanted_is_not():
    found = state_of(wanted("methods", "SigLIP2-MLP"), classifiers=False)
    assert found.state is State.OTHER
    assert found.why == "other parameters: baselines.classifiers"
