"""Fusion of the two modalities into one vector z, with the interactions that are learnt."""

import math

import torch
from torch import Tensor, nn

from siglip2_multimodal_hash.models.config import BILINEAR_RANK, FusionKind, HeadConfig
from siglip2_multimodal_hash.models.decomposition import Decomposed
from siglip2_multimodal_hash.params import multiplies

# Spread that float32 rounding alone gives the log-magnitude of embeddings of equal length.
CONSTANT_BELOW = 1e-6


def join_modalities(kind: FusionKind, image: Decomposed, caption: Decomposed) -> Tensor:
    """Join two decomposed embeddings, before any interaction that is learnt.

    ``concat``, ``gated`` and ``low_rank_bilinear`` [d_img, d_txt]; ``hadamard`` [d_img, d_txt,
    d_img * d_txt]; ``hadamard_with_magnitude`` [d_img, d_txt, d_img * d_txt, m_img, m_txt];
    ``magnitude`` [m_img, m_txt].

    The product is the diagonal of the outer product of both directions, which MCB (Fukui et al.,
    EMNLP 2016) compresses whole.

    Args:
        kind: One of these.
        image: Directions [B, D_i] and log-magnitudes [B, 1].
        caption: Directions [B, D_t] and log-magnitudes [B, 1]; the products need D_i = D_t.

    Returns:
        [B, D_i + D_t], [B, 3 D], [B, 3 D + 2] or [B, 2].
    """
    if kind == "magnitude":
        return torch.cat([image.magnitude, caption.magnitude], dim=-1)
    parts = [image.direction, caption.direction]
    if multiplies(kind):
        parts.append(image.direction * caption.direction)
    if kind == "hadamard_with_magnitude":
        parts += [image.magnitude, caption.magnitude]
    return torch.cat(parts, dim=-1)


class Standardise(nn.Module):
    """(x - mean) * scale with fixed vectors: 0 and 1 until :meth:`set_statistics`.

    The linear map behind it could absorb it, so what the MLP can express is as without it. What
    changes is where a fit starts: see :class:`FusionMLP`.

    Args:
        dim: Width of x.
    """

    mean: Tensor  # float32 [dim]
    scale: Tensor  # float32 [dim]

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """[B, dim] -> [B, dim]."""
        return (x - self.mean) * self.scale

    @torch.no_grad()
    def set_statistics(self, mean: Tensor, deviation: Tensor) -> None:
        """Take over the mean and the standard deviation [dim] of the training inputs.

        A column that varies by no more than rounding is only centred, not blown up.
        """
        self.mean.copy_(mean)
        constant = deviation < CONSTANT_BELOW
        self.scale.copy_(1 / deviation.masked_fill(constant, 1))


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
    """The module between the standardisation and the MLP; most fusions learn nothing there."""
    if config.fusion == "gated":
        return ContextGate(config.input_dim)
    if config.fusion == "low_rank_bilinear":
        return LowRankBilinear(*config.direction_dims, config.mlp_input_dim, BILINEAR_RANK)
    return nn.Identity()


class FusionMLP(nn.Module):
    """Linear, activation and dropout for each of ``mlp_dims``, on standardised inputs.

    A fusion that learns an interaction does so between the two; see :func:`build_interaction`.

    The parts of the input differ in size by orders of magnitude: an element of a direction is near
    1 / sqrt(D), of a product near 1 / D, a log-magnitude is a few units and nearly constant, and
    the embeddings of a tower share a large common component. On such inputs, with PyTorch's default
    initialisation, z is nearly the same for every pair; the hash layer then turns each bit into a
    constant within two epochs, and no gradient is left to bring it back. Hence the
    standardisation, and an initialisation that keeps the variance through the layers (He et al.,
    ICCV 2015); :class:`.initialisation.FitStart` can do without.

    Args:
        config: Its widths, ``fusion``, ``mlp_dims`` (the last is the width of z), ``dropout`` and
            ``activation``.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.standardise = Standardise(config.input_dim)
        self.interaction = build_interaction(config)
        layers: list[nn.Module] = []
        input_dim = config.mlp_input_dim
        for width in config.mlp_dims:
            linear = nn.Linear(input_dim, width)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            layers += [
                linear,
                nn.GELU() if config.activation == "gelu" else nn.ReLU(),
                nn.Dropout(config.dropout),
            ]
            input_dim = width
        self.layers = nn.Sequential(*layers)

    def prepare(self, x: Tensor) -> Tensor:
        """The MLP's input, [B, input_dim] -> [B, mlp_input_dim]."""
        prepared: Tensor = self.interaction(self.standardise(x))
        return prepared

    def forward(self, x: Tensor) -> Tensor:
        """[B, input_dim] -> [B, D_z]."""
        z: Tensor = self.layers(self.prepare(x))
        return z
