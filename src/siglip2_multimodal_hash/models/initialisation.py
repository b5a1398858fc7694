"""The start of a fit: what the head's weights and the training data decide.

Standardised inputs, an initialisation that keeps the variance and the classes' prior leave what the
head can express as it is. Without them the plan's head collapses on real embeddings: the quickest
way to lower the cross-entropy of rare labels is to make every bit a constant, and the quantisation
loss then holds the bits there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import (
    ClassifierParams,
    FusionParams,
    Initialisation,
    Standardise,
)


@dataclass(frozen=True)
class FitStart:
    """Where a fit starts; the values here are those of a head that is to be as good as it can be.

    Attributes:
        standardise: ``fusion.standardise``.
        init: ``fusion.init``.
        prior: ``classifier.prior``.
    """

    standardise: Standardise = "column"
    init: Initialisation = "he"
    prior: bool = True

    @classmethod
    def from_params(cls, fusion: FusionParams, classifier: ClassifierParams) -> Self:
        """Take the parameters out of the sections that they stand in."""
        return cls(fusion.standardise, fusion.init, classifier.prior)

    def build(self, config: HeadConfig) -> HashNetwork:
        """A new head, on the CPU, so that the same weights are drawn whatever the device."""
        network = HashNetwork(config)
        if self.init == "default":
            reset_to_default(network)
        return network

    def apply(
        self, network: HashNetwork, pairs: Iterable[tuple[Tensor, Tensor]], prior: Tensor
    ) -> None:
        """Set what the training data decide.

        Args:
            network: From :meth:`build`.
            pairs: See :func:`standardise_inputs`.
            prior: See :func:`set_class_prior`.
        """
        if self.standardise == "column":
            standardise_inputs(network, pairs)
        if self.prior:
            set_class_prior(network, prior)


def reset_to_default(network: HashNetwork) -> None:
    """Draw the weights of MLP, hash layer and classifier anew, as PyTorch does by default.

    Adapters, projections and learned interactions, which the plan does not have, stay.
    """
    for part in (network.fusion.layers, network.hash_layer, network.classifier):
        for layer in part.modules() if part is not None else ():
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()


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
