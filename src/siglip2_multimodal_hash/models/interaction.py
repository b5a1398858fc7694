"""Learnt interactions of the two modalities, between the standardisation and the fusion MLP."""

import math

import torch
from torch import Tensor, nn

from siglip2_multimodal_hash.models.config import BILINEAR_RANK, HeadConfig


class ContextGate(nn.Module):
    """sigmoid(W x + b) * x: each element of both modalities is weighted in view of all the others.

    The fusion of CLIPMH (Zhu et al., MMM 2025, arXiv 2410.07783), on x = [d_img, d_txt]. The gate
    is 1/2 everywhere at the start, so a fit starts from half the concatenation.

    Args:
        dim: Width of x.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, dim)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, dim] -> [B, dim]."""
        gated: Tensor = torch.sigmoid(self.gate(x)) * x
        return gated


class LowRankBilinear(nn.Module):
    """sum over r of (A_r d_img) * (B_r d_txt): a bilinear map whose slices have rank R.

    The rank-constrained core of MUTAN (Ben-younes et al., ICCV 2017, equation 8), where a full
    bilinear map of D x D to D would have D^3 weights and this one has 2 R D^2. Only the products go
    on, no direction by itself.

    Args:
        image_dim: D_i.
        caption_dim: D_t.
        dim: Width of the result.
        rank: R.
    """

    def __init__(self, image_dim: int, caption_dim: int, dim: int, rank: int) -> None:
        super().__init__()
        self._widths = [image_dim, caption_dim]
        self._rank = rank
        self.image = nn.Linear(image_dim, rank * dim)
        self.caption = nn.Linear(caption_dim, rank * dim)
        for linear in (self.image, self.caption):
            # Factors of variance 1 from standardised inputs.
            nn.init.kaiming_normal_(linear.weight, nonlinearity="linear")
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, D_i + D_t] -> [B, dim], of variance 1 at the start where x has it."""
        d_img, d_txt = torch.split(x, self._widths, dim=-1)
        products = self.image(d_img) * self.caption(d_txt)
        summed: Tensor = products.reshape(len(x), self._rank, -1).sum(1)
        return summed / math.sqrt(self._rank)


def build_interaction(config: HeadConfig) -> nn.Module:
    """What a fusion learns before its MLP; most learn nothing there."""
    if config.fusion == "gated":
        return ContextGate(config.input_dim)
    if config.fusion == "low_rank_bilinear":
        return LowRankBilinear(*config.direction_dims, config.mlp_input_dim, BILINEAR_RANK)
    return nn.Identity()
