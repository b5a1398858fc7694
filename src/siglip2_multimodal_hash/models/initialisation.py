"""The start of a fit: what the head's weights and the training data decide.

Standardised inputs, an initialisation that keeps the variance and the classes' prior leave what the
head can express as it is. Without them the plan's head collapses on real embeddings: the quickest
way to lower the cross-entropy of rare labels is to make every bit a constant, and the quantisation
loss then holds the bits there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.fusion import CONSTANT_BELOW
from siglip2_multimodal_hash.models.linear_codes import itq_rotation, principal_components, project
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import Initialisation, Params, Shortcut, Standardise


@dataclass(frozen=True)
class FitStart:
    """Start of a fit; the values here are those of a classifier of raw embeddings.

    Attributes:
        standardise: ``fusion.standardise``.
        init: ``fusion.init``.
        prior: ``classifier.prior``.
        shortcut: ``hash.shortcut``, of heads that have one.
    """

    standardise: Standardise = "column"
    init: Initialisation = "he"
    prior: bool = True
    shortcut: Shortcut = "none"

    @classmethod
    def from_params(cls, params: Params) -> Self:
        """Take the parameters out of the sections that they stand in."""
        fusion = params.fusion
        return cls(fusion.standardise, fusion.init, params.classifier.prior, params.hash.shortcut)

    def build(self, config: HeadConfig) -> HashNetwork:
        """A new head, on the CPU, so that the same weights are drawn whatever the device."""
        network = HashNetwork(config)
        if self.init == "default":
            reset_to_default(network)
        return network

    def apply(
        self,
        network: HashNetwork,
        pairs: Callable[[], Iterable[tuple[Tensor, Tensor]]],
        sample: Callable[[], Iterable[tuple[Tensor, Tensor]]],
        prior: Tensor,
        seed: int,
    ) -> None:
        """Set what the training data decide.

        Args:
            network: From :meth:`build`.
            pairs: Starts a pass over the training data; see :func:`standardise_inputs`.
            sample: Starts a pass over some of it; see :func:`set_itq_shortcut`.
            prior: See :func:`set_class_prior`.
            seed: Of the first rotation of ITQ.
        """
        if network.config.project_dim and network.config.projection == "pca":
            set_principal_projections(network, pairs())
        if self.standardise != "none":
            standardise_inputs(network, pairs(), shared=self.standardise == "shared")
        if network.config.shortcut and self.shortcut == "itq":
            set_itq_shortcut(network, sample(), seed)
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
def set_principal_projections(network: HashNetwork, pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Make each projection that onto the first principal components of its directions.

    A map learned with the rest of the head over-fits where images are few: its weights are as many
    as those of the MLP's first layer. Directions of equal width share the components of both
    together, so that their products stay on common axes. Components that these pairs do not span
    are 0, because nothing would decide them.

    Args:
        network: Not trained yet.
        pairs: Batches of image embeddings [B, D_i] and caption embeddings [B, D_t].
    """
    projections = network.projections()
    nothing = torch.zeros((), dtype=torch.float64)
    totals, squares = [nothing] * len(projections), [nothing] * len(projections)
    count = 0
    for v_img, v_txt in pairs:
        # float64: see `standardise_inputs`.
        found = [part.direction.double().cpu() for part in network.decomposed(v_img, v_txt)]
        count += len(found[0])
        for number, d in enumerate(found):
            totals[number] = totals[number] + d.sum(0)
            squares[number] = squares[number] + d.T @ d
    covariances = [
        square / count - total.outer(total) / count**2
        for total, square in zip(totals, squares, strict=True)
    ]
    if len({projection.in_features for projection in projections}) == 1:
        covariances = [sum(covariances[1:], covariances[0])] * len(projections)
    for projection, covariance in zip(projections, covariances, strict=True):
        components = principal_components(covariance, projection.out_features)
        projection.weight.copy_(components)


@torch.no_grad()
def standardise_inputs(
    network: HashNetwork, pairs: Iterable[tuple[Tensor, Tensor]], *, shared: bool = False
) -> None:
    """Give the fusion MLP inputs of mean 0 and variance 1 over these pairs.

    Args:
        network: Not trained yet.
        pairs: Batches of image embeddings [B, D_i] and caption embeddings [B, D_t].
        shared: One scale for all elements of directions and products, which then have variance 1
            on average: a scale per column would raise those that hardly vary, which are mostly
            noise, to the rest. A log-magnitude, in units of its own, keeps a scale of its own.
    """
    count = 0
    total = square_total = torch.zeros(())
    for v_img, v_txt in pairs:
        # float64: the variance is a small difference of two large sums.
        x = network.fusion_input(v_img, v_txt).double()
        count += len(x)
        total, square_total = total.to(x) + x.sum(0), square_total.to(x) + x.square().sum(0)
    mean = total / count
    variance = (square_total / count - mean.square()).clamp(min=0)
    if shared:
        alike = variance[: len(variance) - network.config.magnitudes]
        alike.fill_(alike.mean() if len(alike) else 0)
    deviation = variance.sqrt()
    network.fusion.standardise.set_statistics(mean, deviation)


@torch.no_grad()
def set_itq_shortcut(
    network: HashNetwork, pairs: Iterable[tuple[Tensor, Tensor]], seed: int
) -> None:
    """Start the shortcut as the ITQ code of the MLP's input; see :func:`rotated_map`.

    Args:
        network: Not trained yet, but for its standardisation; with a shortcut.
        pairs: Batches of image embeddings [B, D_i] and caption embeddings [B, D_t].
        seed: Of the first rotation.
    """
    layer = network.hash_layer
    if layer is None or layer.shortcut is None:
        raise ValueError("the head has no shortcut")
    x = torch.cat([network.mlp_input(*pair).cpu() for pair in pairs])
    mean = x.mean(0)
    x -= mean
    components = principal_components((x.T @ x).double(), layer.out_features).T
    weights, _ = rotated_map(x, components, seed)
    layer.shortcut.weight.copy_(weights.T)
    if layer.normalise is None:
        # Batch normalisation takes any mean away; without it, ITQ's thresholds must be the bias.
        layer.bias.copy_(-mean.double() @ weights)


def rotated_map(x: Tensor, weights: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Turn a map so that its values on x are nearest to their signs, with variance 1 of each bit.

    Signs alone are compared, so that scale is free; this one is that of a bit of the MLP. A bit
    that varies by no more than rounding is not blown up.

    Args:
        x: float32 [N, D], centred.
        weights: Float64 [D, bits].
        seed: Of the first rotation.

    Returns:
        The map, float64 [D, bits], and the signs, float64 [N, bits].
    """
    projected = project(x, weights)
    rotation = itq_rotation(projected, seed)
    code = projected @ rotation
    deviation = code.std(0, correction=0).clamp(min=CONSTANT_BELOW)
    return weights @ rotation / deviation, code.sign()


@torch.no_grad()
def set_class_prior(network: HashNetwork, prior: Tensor) -> None:
    """Start the classifier's bias at ``prior`` [C]; without a bias there is nothing to set.

    The prior of a rare class then need not be learnt by way of the bits (Lin et al., ICCV 2017,
    section 4.1, start their classifier so for the same reason).
    """
    if network.classifier.bias is not None:
        network.classifier.bias.copy_(prior)
