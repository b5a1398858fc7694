"""Objectives of the hash layer besides the classes: one per file, pure functions on codes."""

from torch import Tensor

from siglip2_multimodal_hash.models.objectives.central import central_loss
from siglip2_multimodal_hash.models.objectives.discrete import sign_penalty, straight_through_sign
from siglip2_multimodal_hash.models.objectives.orthogonal import orthogonal_loss
from siglip2_multimodal_hash.models.objectives.pairwise import continued_code, pairwise_loss
from siglip2_multimodal_hash.params import LossParams

DISCRETE = ("discrete", "discrete_pairwise")
"""Objectives whose classifier sees the signs, by :func:`.straight_through_sign`."""


def code_loss(
    params: LossParams, pre_code: Tensor, soft_code: Tensor, labels: Tensor, progress: float
) -> Tensor:
    """The term that an objective other than ``plan`` puts on the code, a scalar before weighting.

    Args:
        params: The ``loss`` section.
        pre_code: float32 [batches, B, bits], u.
        soft_code: float32 [batches, B, bits], h = tanh(u).
        labels: float32 [batches, B, C] of 0 and 1.
        progress: Share of the fit that is done, in [0, 1].

    Raises:
        ValueError: The objective is ``plan``, whose terms are those of :mod:`..hashing`.
    """
    match params.objective:
        case "pairwise":
            codes = continued_code(pre_code, params.continuation_beta, progress)
            return pairwise_loss(codes, labels, params.pairwise_soft)
        case "central":
            return central_loss(pre_code, labels)
        case "orthogonal":
            return orthogonal_loss(pre_code, labels)
        case "discrete":
            return sign_penalty(soft_code)
        case "discrete_pairwise":
            return pairwise_loss(straight_through_sign(soft_code), labels, params.pairwise_soft)
        case _:
            raise ValueError(f"loss.objective = {params.objective}: has no term of its own")
