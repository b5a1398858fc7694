"""DESIGN section 5, point 7: a rate for each update, warm-up, half a cosine, down to min_lr."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.schedule import learning_rate
from tests.training.small_fits import small_head, small_settings, small_training, small_validation


def rates(peak: float, floor: float, warmup: int, total: int, decay: Any = "cosine") -> list[float]:
    return [
        learning_rate(
            update,
            peak_lr=peak,
            min_lr=floor,
            warmup_updates=warmup,
            total_updates=total,
            decay=decay,
        )
        for update in range(total)
    ]


def test_point_7_by_hand() -> None:
    found = rates(peak=1.0, floor=0.1, warmup=4, total=10)
    # From the peak at update 3, six steps down: 0.1 + 0.9 (1 + cos(pi k / 6)) / 2.
    falling = [0.9397114, 0.775, 0.55, 0.325, 0.1602886, 0.1]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, *falling])


def test_a_straight_line_and_a_constant_rate_by_hand() -> None:
    linear, constant = (rates(1.0, 0.1, 2, 5, decay) for decay in ("linear", "constant"))
    assert linear == pytest.approx([0.5, 1.0, 0.7, 0.4, 0.1])
    assert constant == [0.5, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("decay", ["cosine", "linear", "constant"])
def test_a_fit_follows_the_decay(decay: str) -> None:
    options = small_settings(scheduler={"type": decay}, training={"num_epochs": 4})
    history = fit(small_head(), small_training(48), small_validation(), options).history
    # Three updates per epoch.
    expected = rates(0.01, 1e-4, 3, 12, decay)[2::3]
    assert [record["lr"] for record in history] == expected


def test_point_7_without_warm_up_the_first_update_has_the_peak() -> None:
    assert rates(1.0, 0.0, 0, 3) == pytest.approx([1.0, 0.5, 0.0])


def test_a_run_of_one_update_has_the_peak() -> None:
    assert rates(0.5, 0.1, 0, 1) == [0.5]


@given(
    peak=st.floats(1e-6, 1.0),
    share=st.floats(0, 1),
    warmup=st.integers(0, 50),
    after=st.integers(1, 200),
)
def test_point_7_climbs_once_and_never_climbs_back(
    peak: float, share: float, warmup: int, after: int
) -> None:
    floor = share * peak
    found = rates(peak, floor, warmup, warmup + after)
    top = max(warmup - 1, 0)
    assert found[top] == pytest.approx(peak)
    assert all(one < other for one, other in pairwise(found[: top + 1]))
    falling = found[top:]
    slack = 1e-12 * peak
    assert all(one >= other - slack for one, other in pairwise(falling))
    if len(found) > 1:
        assert found[-1] == floor  # exactly


def test_point_7_a_fit_follows_the_rate_of_updates() -> None:
    # 48 images in batches of 8, two per update: three updates per epoch.
    options = small_settings(
        training={"batch_size": 8, "accumulation_steps": 2, "num_epochs": 4},
        scheduler={"warmup_epochs": 1, "min_lr": 1e-4},
    )
    result = fit(small_head(), small_training(48), small_validation(), options)
    expected = rates(peak=0.01, floor=1e-4, warmup=3, total=12)
    assert expected[-1] == 1e-4
    assert [record["lr"] for record in result.history] == expected[2::3]


def test_a_bound_on_the_updates_ends_a_fit_of_many_pairs_earlier() -> None:
    # As above, three updates per epoch: seven are reached in the third of six epochs, and half the
    # epochs have half the warm-up.
    options = small_settings(
        training={"batch_size": 8, "accumulation_steps": 2, "num_epochs": 6, "max_updates": 7},
        scheduler={"warmup_epochs": 2, "min_lr": 1e-4},
    )
    result = fit(small_head(), small_training(48), small_validation(), options)
    expected = rates(peak=0.01, floor=1e-4, warmup=3, total=9)
    assert [record["lr"] for record in result.history] == expected[2::3]
