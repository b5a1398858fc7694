"""One seed for every source of randomness."""

import os
import random
from typing import Any

import numpy as np
import torch

from siglip2_multimodal_hash.kernels import PINNED_ENVIRONMENT

_CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch, and make PyTorch refuse non-deterministic kernels.

    Process-wide. Two runs with the same seed, data and machine then give the same bytes.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed % 2**63)
    # Without it PyTorch's deterministic mode refuses every matrix product on CUDA.
    os.environ.setdefault(_CUBLAS_WORKSPACE, PINNED_ENVIRONMENT[_CUBLAS_WORKSPACE])
    torch.use_deterministic_algorithms(True)
    # A debugging aid of that mode that fills every new tensor: a third pass over memory.
    mode: Any = torch.utils.deterministic
    mode.fill_uninitialized_memory = False


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of one epoch's order, caption draws and dropout, a number below 2^63.

    An epoch depends on (seed, epoch) alone, never on the state that earlier epochs left behind.
    """
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    return int(state[0]) >> 1
