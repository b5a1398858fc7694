"""Alignment of image and caption directions: ``loss.alignment``.

``cosine`` is 1 - cos of each pair, ``sigmoid`` SigLIP's loss (Zhai et al., ICCV 2023), ``infonce``
CLIP's (Radford et al., ICML 2021). Unlike the first, the other two push the directions of different
items apart, so that they do not all become one. B pairs of a batch, C classes, D the width of a
direction.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import LossParams

SIGMOID_BIAS = -10.0
"""SigLIP's start of the bias: nearly all of the B^2 pairs are negatives."""

MAX_SCALE = 100.0
"""CLIP's bound of a learned 1 / temperature; beyond it training becomes unstable."""


class AlignmentScale(nn.Module):
    """Temperature and bias where they are learned: parameters of the loss, not of the head.

    Args:
        params: The ``loss`` section; ``temperature`` is the start.
    """

    def __init__(self, params: LossParams) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(params.temperature)))
        if params.alignment == "sigmoid":
            self.bias = nn.Parameter(torch.tensor(SIGMOID_BIAS))

    def scale(self) -> Tensor:
        """1 / temperature, at most :data:`MAX_SCALE`."""
        with torch.no_grad():
            # The parameter itself, as in CLIP: beyond the bound of a result it had no gradient, and
            # a temperature that has come there would stay for good.
            self.log_scale.clamp_(max=math.log(MAX_SCALE))
        return self.log_scale.exp()


def learned_scale(params: LossParams, head: HeadConfig) -> AlignmentScale | None:
    """The learned temperature; None where it is a set value, or nothing is divided by it."""
    if head.fusion == "raw" or head.modalities != "both":
        return None
    weighs = params.alignment != "cosine" and params.cosine_weight > 0
    return AlignmentScale(params) if weighs and params.learn_temperature else None


def negative_pairs(labels: Tensor) -> Tensor:
    """Mask of negatives, bool [..., B, B]: pairs i, j of two items, but not of the same label set.

    Photos of the same things have captions that suit each other: to push them apart would work
    against the classes. Items without any label have nothing known in common, so they stay
    negatives. The same photo is never in a batch twice: an epoch takes one caption of each.

    Args:
        labels: [..., B, C] of 0 and 1.
    """
    shared, counts = labels @ labels.mT, labels.sum(dim=-1)
    same = (shared == counts[..., :, None]) & (shared == counts[..., None, :]) & (shared > 0)
    return ~(same | torch.eye(labels.shape[-2], dtype=torch.bool, device=labels.device))


def cosine_loss(d_img: Tensor, d_txt: Tensor) -> Tensor:
    """Mean over the pairs of 1 - d_img . d_txt.

    Args:
        d_img: [..., D] image directions.
        d_txt: [..., D] caption directions.
    """
    return 1 - (d_img * d_txt).sum(dim=-1).mean()


def sigmoid_loss(
    cosines: Tensor, negatives: Tensor, scale: float | Tensor, bias: float | Tensor
) -> Tensor:
    """-1/B sum of log sigmoid(z_ij (scale cos_ij + bias)), z = 1 for i = j, -1 for a negative.

    Args:
        cosines: [..., B, B] of image i and caption j; of several batches the mean is taken.
        negatives: bool [..., B, B]; other pairs i != j are left out.
        scale: 1 / temperature.
        bias: Added to each logit.
    """
    logits = scale * cosines + bias
    pulled = functional.softplus(-logits.diagonal(dim1=-2, dim2=-1)).sum(dim=-1)
    pushed = (functional.softplus(logits) * negatives).sum(dim=(-2, -1))
    return ((pulled + pushed) / cosines.shape[-1]).mean()


def info_nce_loss(cosines: Tensor, negatives: Tensor, scale: float | Tensor) -> Tensor:
    """Cross-entropy of finding the own caption among the negatives, and the own image; halved.

    Args:
        cosines: [..., B, B] of image i and caption j; of several batches the mean is taken.
        negatives: bool [..., B, B], symmetric; other pairs i != j are left out.
        scale: 1 / temperature.
    """
    own = torch.eye(cosines.shape[-1], dtype=torch.bool, device=cosines.device)
    logits = (scale * cosines).masked_fill(~(negatives | own), -torch.inf)
    of_images, of_captions = logits.logsumexp(dim=-1), logits.logsumexp(dim=-2)
    matched = logits.diagonal(dim1=-2, dim2=-1)
    return ((of_images + of_captions) / 2 - matched).mean()


def alignment_loss(
    params: LossParams,
    d_img: Tensor,
    d_txt: Tensor,
    labels: Tensor,
    learned: AlignmentScale | None = None,
) -> Tensor:
    """The loss of ``params.alignment``, a scalar before weighting.

    Args:
        params: The ``loss`` section.
        d_img: float32 [batches, B, D].
        d_txt: float32 [batches, B, D].
        labels: float32 [batches, B, C] of 0 and 1.
        learned: See :func:`learned_scale`.
    """
    if params.alignment == "cosine":
        return cosine_loss(d_img, d_txt)
    cosines, negatives = d_img @ d_txt.mT, negative_pairs(labels)
    scale = 1 / params.temperature if learned is None else learned.scale()
    if params.alignment == "infonce":
        return info_nce_loss(cosines, negatives, scale)
    bias = SIGMOID_BIAS if learned is None else learned.bias
    return sigmoid_loss(cosines, negatives, scale, bias)
