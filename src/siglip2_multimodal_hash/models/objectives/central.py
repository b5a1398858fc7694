"""Central similarity (CSQ): a fixed binary centre per class; Yuan et al., CVPR 2020.

In the paper's multi-label form an item's centre is the bitwise majority of the centres
of its labels.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

# Weight of the quantisation term beside the central one: it matters little.
QUANTISATION_WEIGHT = 1e-4

_SEED = 0


@lru_cache(maxsize=8)
def hash_centres(classes: int, bits: int) -> Tensor:
    """Centres of +1 and -1, float32 [classes, bits]; the same at every call.

    The rows of a Hadamard matrix and their negatives, which differ from each other in at least half
    of the bits; of more classes than 2 * bits, rows of fair coins (the paper's second way).

    Args:
        classes: C.
        bits: A power of 2.
    """
    generator = torch.Generator().manual_seed(_SEED)
    if classes > 2 * bits:
        return _coins(generator, classes, bits)
    hadamard = torch.ones(1, 1)
    while len(hadamard) < bits:
        hadamard = torch.cat(
            [torch.cat([hadamard, hadamard], 1), torch.cat([hadamard, -hadamard], 1)]
        )
    # The row of ones would make every bit of its class alike: it comes last.
    rows = torch.cat([hadamard[1:], -hadamard[1:], hadamard[:1], -hadamard[:1]])
    return rows[:classes]


@lru_cache(maxsize=8)
def tie_breaker(bits: int) -> Tensor:
    """Fair coins, float32 [bits], for the bits on which the centres are evenly split."""
    return _coins(torch.Generator().manual_seed(_SEED + 1), 1, bits)[0]


def item_centres(labels: Tensor, bits: int) -> Tensor:
    """The centre of each item, [..., bits] of +1 and -1; without a label the tie breaker.

    Args:
        labels: [..., C] of 0 and 1.
        bits: A power of 2.
    """
    centres = hash_centres(labels.shape[-1], bits).to(labels)
    votes = labels @ centres
    # Half a vote decides ties and nothing else.
    return torch.where(votes + tie_breaker(bits).to(labels) / 2 > 0, 1.0, -1.0).to(labels.dtype)


def central_loss(pre_code: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each bit with that of the item's centre, and quantisation.

    mean of -c log p - (1 - c) log(1 - p), c the bit of the centre as 0 or 1 and p = (1 + tanh u) /
    2 = sigmoid(2 u), plus lambda * mean of log cosh(|tanh u| - 1).

    Args:
        pre_code: [..., bits], u.
        labels: [..., C] of 0 and 1, in the dtype of ``pre_code``.
    """
    targets = (1 + item_centres(labels, pre_code.shape[-1])) / 2
    central = functional.binary_cross_entropy_with_logits(2 * pre_code, targets)
    quantisation = torch.cosh(torch.tanh(pre_code).abs() - 1).log().mean()
    return central + QUANTISATION_WEIGHT * quantisation


def _coins(generator: torch.Generator, rows: int, bits: int) -> Tensor:
    return torch.randint(0, 2, (rows, bits), generator=generator).float() * 2 - 1
