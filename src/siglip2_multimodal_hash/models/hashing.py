"""The learnable hash layer and the three regularisers that make its bits usable.

That bits be near -1 or +1, split the data in half and say different things is what many
methods ask for, each in its own form (the survey by Wang et al., Proceedings of the IEEE, 2016).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from siglip2_multimodal_hash.params import Normalize


class HashLayer(nn.Linear):
    """h = tanh(u), u = W z + b: soft codes in (-1, 1); the bit is 1 where h > 0.

    With a shortcut u = W z + b + S x, x being the MLP's input: a linear code, to which the MLP adds
    what a linear one cannot express.

    With batch normalisation u is (u - mean) / deviation of each bit, over the rows that are
    trained together, and over a running mean of them in eval mode: every bit splits the training
    data near the middle. There is nothing to learn in it, and the threshold stays 0.

    Args:
        fused_dim: Width of z.
        bits: Width of h.
        normalize: ``none`` or ``batchnorm``.
        shortcut_dim: Width of x; 0 for no shortcut.
    """

    def __init__(
        self, fused_dim: int, bits: int, normalize: Normalize = "none", shortcut_dim: int = 0
    ) -> None:
        super().__init__(fused_dim, bits)
        nn.init.xavier_normal_(self.weight)
        nn.init.zeros_(self.bias)
        self.normalise = nn.BatchNorm1d(bits, affine=False) if normalize == "batchnorm" else None
        self.shortcut = nn.Linear(shortcut_dim, bits, bias=False) if shortcut_dim else None
        if self.shortcut is not None:
            nn.init.xavier_normal_(self.shortcut.weight)

    def pre_code(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        """u, [B, D_z] and, where there is a shortcut, [B, shortcut_dim] -> [B, bits]."""
        u = super().forward(z)
        if self.shortcut is not None:
            u = u + self.shortcut(x)
        layer = self.normalise
        if layer is None:
            return u
        if self.training and len(u) == 1:
            # One row has no deviation: a last batch of one is judged by the running mean.
            return functional.batch_norm(u, layer.running_mean, layer.running_var, eps=layer.eps)
        normalised: Tensor = layer(u)
        return normalised

    def forward(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        """h, of the arguments of :meth:`pre_code`."""
        return torch.tanh(self.pre_code(z, x))


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
    """Sum over i != j of cov_ij^2 / bits^2: two bits should not carry the same information.

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
