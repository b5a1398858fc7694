"""Classification of the signs themselves: GreedyHash (Su, Zhang, Han and Tian, NeurIPS 2018).

The classifier sees the bits that will be stored, so that nothing is lost between training and
search. With the pairwise likelihood of the same bits beside it, this is the objective of DSDH (Li,
Sun, He and Tan, NIPS 2017), without its alternating optimisation.
"""

import torch
from torch import Tensor


def straight_through_sign(soft_code: Tensor) -> Tensor:
    """+1 where h > 0, else -1; the gradient passes as if nothing had been done.

    Unlike the paper's, it goes on through the tanh behind h, so that a bit far from its threshold
    is left in peace.

    Args:
        soft_code: [..., bits], h.
    """
    sign = torch.where(soft_code > 0, 1.0, -1.0).to(soft_code.dtype)
    # h - h is 0, so the value is the sign to the last bit.
    return sign + (soft_code - soft_code.detach())


def sign_penalty(soft_code: Tensor) -> Tensor:
    """Mean of |h - sign(h)|^3, over bits and items: the penalty of the paper (p = 3)."""
    return (soft_code.abs() - 1).abs().pow(3).mean()
