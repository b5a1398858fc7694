"""Settings of the process for every test of a fit."""

from collections.abc import Iterator

import pytest

from siglip2_multimodal_hash.kernels import pin_cpu_kernels

# Before PyTorch is loaded: on a busy machine, OpenMP's spinning threads slow small fits fiftyfold.
pin_cpu_kernels()


@pytest.fixture(autouse=True)
def _restored_determinism() -> Iterator[None]:
    """A fit makes PyTorch deterministic for the whole process: undo that after each test."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)
