"""The start of a fit, as far as the training data decides it.

Both settings leave what the head can express as it is. Without them the plan's head collapses on
real embeddings: the quickest way to lower the cross-entropy of rare labels is to make every bit a
constant, and the quantisation loss then holds the bits there.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from siglip2_multimodal_hash.models.network import HashNetwork


@torch.no_grad()
def standardise_inputs(network: HashNetwork, pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Give the fusion MLP inputs of mean 0 and variance 1 over these pairs.

    Args:
        network: Not trained yet.
        pairs: Batches of image embeddings [B, D_i] and caption embeddings [B, D_t].
    """
    count = 0
    total = square_total = torch.zeros(())
    for v_img, v_txt in pairs:
        # float64: the variance is a small difference of two large sums.
        x = network.fusion_input(v_img, v_txt).double()
        count += len(x)
        total, square_total = total.to(x) + x.sum(0), square_total.to(x) + x.square().sum(0)
    mean = total / count
    deviation = (square_total / count - mean.square()).clamp(min=0).sqrt()
    network.fusion.standardise.set_statistics(mean, deviation)


@torch.no_grad()
def set_class_prior(network: HashNetwork, prior: Tensor) -> None:
    """Start the classifier's bias at ``prior`` [C]; without a bias there is nothing to set.

    The prior of a rare class then need not be learnt by way of the bits (Lin et al., ICCV 2017,
    section 4.1, start their classifier so for the same reason).
    """
    if network.classifier.bias is not None:
        network.classifier.bias.copy_(prior)
