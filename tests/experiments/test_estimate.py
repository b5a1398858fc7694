"""How long experiments are said to take, by what earlier ones took."""

from collections.abc import Mapping
from typing import cast

import pytest

from siglip2_multimodal_hash.experiments.estimate import UNKNOWN, estimate
from siglip2_multimodal_hash.experiments.repository import Recorded, Repository
from tests.experiments.test_rows import PLAN


class Measured:
    """A repository whose experiments took these seconds; None was not noted."""

    def __init__(self, seconds: Mapping[str, float | None]) -> None:
        self._seconds = seconds

    def experiments(self) -> dict[str, list[Recorded]]:
        return {name: [Recorded(name, name, "")] for name in self._seconds}

    def seconds(self, commit: str) -> float | None:
        return self._seconds[commit]


def said(seconds: Mapping[str, float | None], row: str, jobs: int = 1) -> str:
    repository = cast(Repository, Measured(seconds))
    todo = [one for one in PLAN.experiments([row], 1) if not one.name.startswith("default")]
    return estimate(todo, PLAN, repository, jobs)


def test_an_experiment_takes_as_long_as_those_that_change_the_same_sections() -> None:
    # C1 varies the vote, as C4 does; A2 the head. C1 has three variants beside the default.
    measured = {"C4-tau-0.03-s0": 10.0, "C4-tau-0.2-s7": 14.0, "A2-bits-32-s0": 500.0}
    assert said(measured, "C1") == "about 36 s, one at a time, by 3 runs measured here"
    assert said(measured, "C1", jobs=2).startswith("about 18 s, 2 at a time")
    assert said(measured, "C1", jobs=8).startswith("about 12 s")


def test_without_any_like_it_the_mean_of_all_counts() -> None:
    assert (
        said({"A2-bits-32-s0": 20.0}, "C1") == "about 60 s, one at a time, by 1 run measured here"
    )


@pytest.mark.parametrize("seconds", [{}, {"C1-k-5-s0": None}, {"mine": 9.0}])
def test_what_was_not_measured_is_unknown(seconds: dict[str, float | None]) -> None:
    assert said(seconds, "C1") == UNKNOWN
