"""The learnable hash layer and the three regularisers that make its bits usable."""

import torch
from torch import Tensor, nn


class HashLayer(nn.Linear):
    """h = tanh(W z + b): soft codes in (-1, 1); the bit is 1 where h > 0.

    Args:
        fused_dim: Width of z.
        bits: Width of h.
    """

    def __init__(self, fused_dim: int, bits: int) -> None:
        super().__init__(fused_dim, bits)
        nn.init.xavier_normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, z: Tensor) -> Tensor:
        """[B, D_z] -> [B, bits]."""
        return torch.tanh(super().forward(z))


def quantisation_loss(h: Tensor) -> Tensor:
    """mean((|h| - 1)^2): pushes every soft bit towards -1 or +1.

    Args:
        h: [..., B, bits] soft codes of one or more batches.
    """
    return (h.abs() - 1).square().mean()


def balance_loss(h: Tensor) -> Tensor:
    """Mean over bits of (batch mean of the bit)^2: each bit should split the batch in half.

    For independent balanced bits its expectation is 1 / B, not 0: compare it at equal batch sizes.

    Args:
        h: [..., B, bits] soft codes; of several batches the mean of their losses is taken.
    """
    return h.mean(dim=-2).square().mean()


def decorrelation_loss(h: Tensor) -> Tensor:
    """Sum over i != j of cov_ij^2 / bits^2: two bits should not tell the same.

    The covariance is over the batch with divisor B.

    Args:
        h: [..., B, bits] soft codes; of several batches the mean of their losses is taken.
    """
    samples, bits = h.shape[-2:]
    centred = h - h.mean(dim=-2, keepdim=True)
    covariance = centred.mT @ centred / samples
    # Subtracting the diagonal first, rather than its squares from the sum, avoids cancellation.
    off_diagonal = covariance - torch.diag_embed(covariance.diagonal(dim1=-2, dim2=-1))
    return off_diagonal.square().sum(dim=(-2, -1)).mean() / bits**2
