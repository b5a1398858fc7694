"""Division of an epoch into updates, and of these into micro-batches."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from siglip2_multimodal_hash.params import TrainingParams
from siglip2_multimodal_hash.training.schedule import check_batch_size

# Some 10 MB of activations for SigLIP 2 base; a micro-batch that is larger is run on its own.
ROWS_TOGETHER = 512


def batches_per_epoch(samples: int, params: TrainingParams) -> int:
    """Number of micro-batches of an epoch.

    Raises:
        InputError: ``training.drop_last`` leaves none.
    """
    check_batch_size(samples, params.batch_size, drop_last=params.drop_last)
    whole, rest = divmod(samples, params.batch_size)
    return whole + (rest > 0 and not params.drop_last)


def updates_per_epoch(samples: int, params: TrainingParams) -> int:
    """Number of optimiser updates of an epoch; an incomplete last group makes one too."""
    return math.ceil(batches_per_epoch(samples, params) / params.accumulation_steps)


def epochs_of_fit(samples: int, params: TrainingParams) -> int:
    """Number of epochs of a fit: ``num_epochs``, or fewer that reach ``max_updates`` updates."""
    if not params.max_updates:
        return params.num_epochs
    enough = math.ceil(params.max_updates / updates_per_epoch(samples, params))
    return min(params.num_epochs, enough)


class Run(NamedTuple):
    """Micro-batches of equal size that go through the head together."""

    rows: Tensor  # int64 [batches * size], rows of the training data
    batches: int


def group_batches(order: Tensor, params: TrainingParams) -> list[list[Run]]:
    """Cut an epoch into the groups of micro-batches that make one update each.

    The last group may hold fewer than ``accumulation_steps`` micro-batches, and its last
    micro-batch fewer than ``batch_size`` samples.

    A group's micro-batches are run together up to :data:`ROWS_TOGETHER`: on cached embeddings a
    step costs by the call, not by the row. The incomplete one is run on its own, because the
    regularisers are properties of a micro-batch.

    Args:
        order: int64 [n], the order of this epoch's samples.
        params: Batch size, accumulation and drop_last.
    """
    size = params.batch_size
    samples = min(len(order), batches_per_epoch(len(order), params) * size)
    groups = torch.split(order[:samples], size * params.accumulation_steps)
    return [_runs(rows, size) for rows in groups]


def _runs(rows: Tensor, size: int) -> list[Run]:
    whole = len(rows) // size * size
    together = max(1, ROWS_TOGETHER // size) * size
    parts = torch.split(rows[:whole], together) if whole else ()
    runs = [Run(part, len(part) // size) for part in parts]
    if whole < len(rows):
        runs.append(Run(rows[whole:], 1))
    return runs
