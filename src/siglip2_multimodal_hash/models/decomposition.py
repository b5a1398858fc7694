"""Split an embedding into its direction and its magnitude, and adapt it before that."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from siglip2_multimodal_hash.models.config import RESIDUAL_REDUCTION
from siglip2_multimodal_hash.params import Adapter


class Decomposed(NamedTuple):
    """An embedding v [B, D] as two parts."""

    direction: Tensor  # [B, D], v / (|v| + eps)
    magnitude: Tensor  # [B, 1], log(|v| + eps)


def decompose(v: Tensor, eps: float) -> Decomposed:
    """Split each row of ``v`` into direction and log-magnitude.

    Computed in float32 at least: under half precision the squares of an unnormalised embedding
    overflow.

    Args:
        v: [B, D] embeddings as the towers give them, not normalised.
        eps: Keeps a zero row finite: its direction is 0 and its magnitude log(eps).
    """
    dtype = torch.promote_types(v.dtype, torch.float32)
    shifted_norm = torch.linalg.vector_norm(v, dim=-1, keepdim=True, dtype=dtype) + eps
    return Decomposed(direction=v / shifted_norm, magnitude=shifted_norm.log())


class DirectionProjection(nn.Linear):
    """A linear map of directions to another width, at unit length again.

    Orthogonal at the start: angles then stay what they are where the width does not shrink, and
    nearly so where it does (Johnson and Lindenstrauss, 1984). No bias: it would move the origin
    that directions are seen from. A fixed one gets the principal components of the training
    directions; see :func:`.initialisation.set_principal_projections`.

    Args:
        dim: Width of the direction.
        project_dim: Width to map it to.
        eps: Keeps a zero row finite.
        learned: Whether the weights are trained.
    """

    def __init__(self, dim: int, project_dim: int, eps: float, *, learned: bool) -> None:
        super().__init__(dim, project_dim, bias=False)
        self._eps = eps
        nn.init.orthogonal_(self.weight)
        self.weight.requires_grad_(learned)

    def forward(self, direction: Tensor) -> Tensor:
        """[B, D] -> [B, P]."""
        return decompose(super().forward(direction), self._eps).direction


class LinearAdapter(nn.Linear):
    """A full linear map, the identity at the start."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim)
        nn.init.eye_(self.weight)
        nn.init.zeros_(self.bias)


class ResidualAdapter(nn.Module):
    """v + up(relu(down(v))) through a bottleneck; ``up`` is zero at the start."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        inner = max(1, dim // RESIDUAL_REDUCTION)
        self.down = nn.Linear(dim, inner)
        self.up = nn.Linear(inner, dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, v: Tensor) -> Tensor:
        """[B, D] -> [B, D]."""
        adapted: Tensor = v + self.up(torch.relu(self.down(v)))
        return adapted


def build_adapter(kind: Adapter, dim: int) -> nn.Module:
    """The trainable map in front of the decomposition; each is exactly the identity at the start.

    With frozen towers, ``none`` and no projection the directions do not depend on any parameter, so
    the alignment has no gradient; ``linear`` and ``residual`` give it one.
    """
    if kind == "linear":
        return LinearAdapter(dim)
    if kind == "residual":
        return ResidualAdapter(dim)
    return nn.Identity()
