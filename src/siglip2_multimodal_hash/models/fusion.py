"""Join the two modalities into one fused vector z."""

import torch
from torch import Tensor, nn

from siglip2_multimodal_hash.models.config import FusionKind, HeadConfig
from siglip2_multimodal_hash.models.decomposition import Decomposed
from siglip2_multimodal_hash.models.interaction import build_interaction

# Spread that float32 rounding alone gives the log-magnitude of embeddings of equal length.
CONSTANT_BELOW = 1e-6


def join_modalities(kind: FusionKind, image: Decomposed, caption: Decomposed) -> Tensor:
    """What two decomposed embeddings give, before any interaction that is learnt.

    ``concat``, ``gated`` and ``low_rank_bilinear`` [d_img, d_txt]; ``hadamard`` [d_img, d_txt,
    d_img * d_txt]; ``hadamard_with_magnitude`` [d_img, d_txt, d_img * d_txt, m_img, m_txt];
    ``magnitude`` [m_img, m_txt].

    Args:
        kind: Which of them.
        image: Directions [B, D_i] and log-magnitudes [B, 1].
        caption: Directions [B, D_t] and log-magnitudes [B, 1]; the products need D_i = D_t.

    Returns:
        [B, D_i + D_t], [B, 3 D], [B, 3 D + 2] or [B, 2].
    """
    if kind == "magnitude":
        return torch.cat([image.magnitude, caption.magnitude], dim=-1)
    parts = [image.direction, caption.direction]
    if kind in ("hadamard", "hadamard_with_magnitude"):
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


class FusionMLP(nn.Module):
    """Linear, activation and dropout for each of ``mlp_dims``, on standardised inputs.

    A fusion that learns an interaction does so between the two; see :mod:`.interaction`.

    The parts of the input differ in size by orders of magnitude: an element of a direction is near
    1 / sqrt(D), of a product near 1 / D, a log-magnitude is a few units and nearly constant, and
    the embeddings of a tower share a large common component. On such inputs, with PyTorch's default
    initialisation, z is nearly the same for every pair; the hash layer then turns each bit into a
    constant within two epochs, and no gradient is left to bring it back. Hence the
    standardisation, and an initialisation that keeps the variance through the layers (He et al.,
    ICCV 2015).

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

    def forward(self, x: Tensor) -> Tensor:
        """[B, input_dim] -> [B, D_z]."""
        z: Tensor = self.layers(self.interaction(self.standardise(x)))
        return z
