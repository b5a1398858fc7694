"""Micro-batches and updates of an epoch, drop_last and leftovers included."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import TrainingParams
from siglip2_multimodal_hash.training.batches import (
    ROWS_TOGETHER,
    batches_per_epoch,
    group_batches,
    updates_per_epoch,
)
from tests.training.small_fits import small_params


def training(batch_size: int, accumulation_steps: int, drop_last: bool) -> TrainingParams:
    changes = {
        "batch_size": batch_size,
        "accumulation_steps": accumulation_steps,
        "drop_last": drop_last,
    }
    return small_params(training=changes).training


def cut(n: int, params: TrainingParams) -> list[list[tuple[list[int], int]]]:
    groups = group_batches(torch.arange(n), params)
    return [[(run.rows.tolist(), run.batches) for run in group] for group in groups]


def test_drop_last_leaves_out_the_incomplete_batch() -> None:
    assert cut(10, training(4, 1, True)) == [[([0, 1, 2, 3], 1)], [([4, 5, 6, 7], 1)]]
    assert cut(10, training(4, 1, False))[2:] == [[([8, 9], 1)]]


def test_batches_of_an_update_run_together_but_for_the_incomplete_one() -> None:
    params = training(4, 3, False)
    assert cut(10, params) == [[([0, 1, 2, 3, 4, 5, 6, 7], 2), ([8, 9], 1)]]
    assert (batches_per_epoch(10, params), updates_per_epoch(10, params)) == (3, 1)


def test_a_leftover_group_makes_an_update_of_its_own() -> None:
    params = training(2, 2, True)
    assert cut(7, params) == [[([0, 1, 2, 3], 2)], [([4, 5], 1)]]
    assert (batches_per_epoch(7, params), updates_per_epoch(7, params)) == (3, 2)


def test_large_micro_batches_run_on_their_own() -> None:
    size = ROWS_TOGETHER // 2 + 1
    (group,) = group_batches(torch.arange(3 * size), training(size, 3, True))
    assert [(len(run.rows), run.batches) for run in group] == [(size, 1)] * 3


@given(
    n=st.integers(1, 300),
    batch_size=st.integers(1, 40),
    steps=st.integers(1, 5),
    drop_last=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_sample_is_in_one_micro_batch(
    n: int, batch_size: int, steps: int, drop_last: bool, seed: int
) -> None:
    params = training(batch_size, steps, drop_last)
    if drop_last and n < batch_size:
        return
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    groups = group_batches(order, params)
    assert len(groups) == updates_per_epoch(n, params)
    runs = [run for group in groups for run in group]
    assert sum(run.batches for run in runs) == batches_per_epoch(n, params)
    kept = n // batch_size * batch_size if drop_last else n
    assert torch.equal(torch.cat([run.rows for run in runs]), order[:kept])
    assert all(len(run.rows) == run.batches * batch_size for run in runs[:-1])
    assert all(sum(run.batches for run in group) == steps for group in groups[:-1])


def test_too_few_images_for_one_batch_are_refused() -> None:
    with pytest.raises(InputError, match=r"training.batch_size = 32: .*only 31 .*drop_last"):
        batches_per_epoch(31, training(32, 1, True))
    assert batches_per_epoch(31, training(32, 1, False)) == 1
