"""Updates of a fit and their learning rate: linear warm-up, then down to the floor."""

import math

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import Decay


def check_batch_size(samples: int, batch_size: int, *, drop_last: bool) -> None:
    """Refuse an epoch without a batch.

    Raises:
        InputError: ``training.drop_last`` leaves none.
    """
    if drop_last and samples < batch_size:
        raise InputError(
            f"training.batch_size = {batch_size}: there are only {samples} training images, and "
            "training.drop_last leaves out the incomplete batch",
            f"set training.batch_size to {samples} or less, or training.drop_last to false",
        )


def learning_rate(
    update: int,
    *,
    peak_lr: float,
    min_lr: float,
    warmup_updates: int,
    total_updates: int,
    decay: Decay = "cosine",
) -> float:
    """Learning rate of one optimiser update.

    Warm-up climbs in equal steps from peak_lr / warmup_updates to peak_lr, which the last warm-up
    update has (the first update where there is no warm-up). From there half a cosine, or a straight
    line, falls to exactly min_lr at the last update. A run of one update has peak_lr.

    Args:
        update: 0 for the first update of the run.
        peak_lr: Highest rate.
        min_lr: Rate of the last update.
        warmup_updates: Less than ``total_updates``.
        total_updates: Updates of the whole run.
        decay: ``constant`` stays at the peak and takes no notice of ``min_lr``.
    """
    if update < warmup_updates:
        return peak_lr * ((update + 1) / warmup_updates)
    peak = max(warmup_updates - 1, 0)
    # With one update in all, the peak is also the end.
    progress = (update - peak) / max(total_updates - 1 - peak, 1)
    if decay == "constant":
        return peak_lr
    left = 1 - progress if decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return min_lr + (peak_lr - min_lr) * left
