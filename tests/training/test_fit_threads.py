"""The threads of a fit depend on its size alone."""

import pytest
import torch
from torch import nn

from siglip2_multimodal_hash.training.threads import SMALL_UPDATE, threads_of_fit

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2, "what was set stays set behind the block"
    torch.set_num_threads(before)


@pytest.mark.parametrize(("pairs", "threads"), [(1, 1), (99_999, 1), (100_000, 2), (10**6, 2)])
def test_small_updates_take_one_thread(pairs, threads):
    network = nn.Linear(999, 1)  # a thousand weights
    assert SMALL_UPDATE == 1000 * 100_000
    with threads_of_fit(network, pairs, CPU):
        assert torch.get_num_threads() == threads


def test_a_gpu_leaves_the_threads_alone():
    with threads_of_fit(nn.Linear(1, 1), 1, torch.device("cuda")):
        assert torch.get_num_threads() == 2


def test_they_are_set_back_after_an_error():
    with pytest.raises(KeyError), threads_of_fit(nn.Linear(1, 1), 1, CPU):
        raise KeyError
