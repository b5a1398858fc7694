"""Join the two modalities into one fused vector z."""

import torch
from torch import Tensor, nn

from siglip2_multimodal_hash.models.config import Activation, FusionKind
from siglip2_multimodal_hash.models.decomposition import Decomposed


def join_modalities(kind: FusionKind, image: Decomposed, caption: Decomposed) -> Tensor:
    """The MLP's input from two decomposed embeddings.

    ``concat`` [d_img, d_txt]; ``hadamard`` [d_img, d_txt, d_img * d_txt];
    ``hadamard_with_magnitude`` [d_img, d_txt, d_img * d_txt, m_img, m_txt].

    Args:
        kind: Which of the three.
        image: Directions [B, D_i] and log-magnitudes [B, 1].
        caption: Directions [B, D_t] and log-magnitudes [B, 1]; the products need D_i = D_t.

    Returns:
        [B, D_i + D_t], [B, 3 D] or [B, 3 D + 2].
    """
    parts = [image.direction, caption.direction]
    if kind in ("hadamard", "hadamard_with_magnitude"):
        parts.append(image.direction * caption.direction)
    if kind == "hadamard_with_magnitude":
        parts += [image.magnitude, caption.magnitude]
    return torch.cat(parts, dim=-1)


class FusionMLP(nn.Sequential):
    """Linear, activation and dropout for each of ``mlp_dims``.

    Args:
        input_dim: Width of the input.
        mlp_dims: Widths of the layers; the last is that of z.
        dropout: Share of the activations that are dropped in training.
        activation: ``relu`` or ``gelu``.
    """

    def __init__(
        self, input_dim: int, mlp_dims: tuple[int, ...], dropout: float, activation: Activation
    ) -> None:
        layers: list[nn.Module] = []
        for width in mlp_dims:
            layers += [
                nn.Linear(input_dim, width),
                nn.GELU() if activation == "gelu" else nn.ReLU(),
                nn.Dropout(dropout),
            ]
            input_dim = width
        super().__init__(*layers)
