"""How many threads a fit on a CPU takes: by the size of its updates, so the same on any machine."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

# Weights times pairs of an update. Half of it, a second thread makes a fit a tenth faster, for a
# third more of the processors' time; at twice as much it pays. Two experiments at a time get more
# done with one thread each.
SMALL_UPDATE = 100_000_000


@contextlib.contextmanager
def threads_of_fit(network: nn.Module, pairs: int, device: torch.device) -> Iterator[None]:
    """Let PyTorch take one thread in the block where updates are small.

    Sums are split by thread, so their number decides the last bits of a fit.

    Args:
        network: What is trained.
        pairs: Of an update.
        device: Another than a CPU changes nothing.
    """
    weights = sum(parameter.numel() for parameter in network.parameters())
    threads = torch.get_num_threads()
    if device.type == "cpu" and weights * pairs < SMALL_UPDATE:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
