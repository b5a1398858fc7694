"""Pairwise likelihood with continuation: HashNet (Cao, Long, Wang and Yu, ICCV 2017).

Codes of items that share a label should have a large inner product, codes of others a small one;
tanh(beta u) with a beta that grows over the fit goes over into sign(u).
"""

import torch
from torch import Tensor
from torch.nn import functional

# alpha, for inner products of any width: HashNet's own code takes 10 / bits.
LIKELIHOOD_SCALE = 10.0


def continued_code(pre_code: Tensor, beta: float, progress: float) -> Tensor:
    """tanh(b u), b growing linearly from 1 to ``beta`` over the fit: the continuation.

    Args:
        pre_code: [..., bits], u.
        beta: b at the end of the fit.
        progress: Share of the fit that is done, in [0, 1].
    """
    return torch.tanh((1 + (beta - 1) * progress) * pre_code)


def label_similarity(labels: Tensor, soft: float) -> Tensor:
    """s_ij of every pair: 1 where two items share a label, 0 where they share none.

    Args:
        labels: [..., B, C] of 0 and 1.
        soft: Share of Jaccard's |intersection| / |union| in s of the pairs that share a label: 0
            takes none, 1 nothing else.

    Returns:
        [..., B, B].
    """
    shared = labels @ labels.mT
    alike = (shared > 0).to(labels.dtype)
    if not soft:
        return alike
    counts = labels.sum(dim=-1)
    union = counts[..., :, None] + counts[..., None, :] - shared
    return (1 - soft) * alike + soft * shared / union.clamp(min=1)


def pairwise_loss(codes: Tensor, labels: Tensor, soft: float = 0.0) -> Tensor:
    """Weighted negative log-likelihood of the similarities.

    log(1 + exp(t_ij)) - s_ij t_ij with t_ij = (10 / bits) <h_i, h_j>, averaged over the pairs i !=
    j of a batch that share a label and over those that share none, and then over these two, so
    that neither kind outweighs the other (HashNet's weights |S| / |S_1| and |S| / |S_0|). A kind
    that does not occur counts 0. Memory is O(batches B^2).

    Args:
        codes: [..., B, bits] of one or more batches, in [-1, 1].
        labels: [..., B, C] of 0 and 1, in the dtype of ``codes``.
        soft: See :func:`label_similarity`.
    """
    t = (LIKELIHOOD_SCALE / codes.shape[-1]) * (codes @ codes.mT)
    s = label_similarity(labels, soft)
    cost = functional.softplus(t) - s * t
    others = 1 - torch.eye(codes.shape[-2], dtype=codes.dtype, device=codes.device)
    alike = (s > 0).to(codes.dtype) * others
    return (_mean(cost, alike) + _mean(cost, others - alike)).mean() / 2


def _mean(cost: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen pairs of each batch."""
    return (cost * chosen).sum(dim=(-2, -1)) / chosen.sum(dim=(-2, -1)).clamp(min=1)
