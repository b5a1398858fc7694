"""How an epoch is cut into micro-batches, and these into updates."""

import math

import torch
from torch import Tensor

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import TrainingParams


def batches_per_epoch(samples: int, params: TrainingParams) -> int:
    """Number of micro-batches of an epoch.

    Raises:
        InputError: ``training.drop_last`` leaves none.
    """
    if params.drop_last and samples < params.batch_size:
        raise InputError(
            f"training.batch_size = {params.batch_size}: there are only {samples} training "
            "images, and training.drop_last leaves out the incomplete batch",
            f"set training.batch_size to {samples} or less, or training.drop_last to false",
        )
    whole, rest = divmod(samples, params.batch_size)
    return whole + (rest > 0 and not params.drop_last)


def updates_per_epoch(samples: int, params: TrainingParams) -> int:
    """Number of optimiser updates of an epoch; an incomplete last group makes one too."""
    return math.ceil(batches_per_epoch(samples, params) / params.accumulation_steps)


def group_batches(order: Tensor, params: TrainingParams) -> list[list[Tensor]]:
    """Cut an epoch into groups of micro-batches, one group an update.

    The last group may hold fewer than ``accumulation_steps`` micro-batches. Its update is the
    mean over the samples that it has, so it is not weaker than the others.

    Args:
        order: int64 [n], the order of this epoch's samples.
        params: Batch size, accumulation and drop_last.
    """
    count = batches_per_epoch(len(order), params)
    batches = list(torch.split(order, params.batch_size))[:count]
    size = params.accumulation_steps
    return [batches[start : start + size] for start in range(0, count, size)]
