"""A head without gradients: its code by ridge regression, the rival of every epoch of a fit.

Few pairs are too few for gradients: whatever their rate, the bits soon fit the training labels and
not the classes. Here a linear map of the MLP's input, the shortcut, is solved for instead:

1. Targets of every item, whose inner products say how alike two items' labels are
   (:class:`LabelTargets`).
2. Ridge regression of them on the input; val chooses the strength. It shrinks every direction by
   what the data say of it, which no early stop does as well.
3. The principal components of what is predicted, and the rotation that brings them nearest to
   their signs: supervised ITQ (Gong et al., IEEE TPAMI 2013, who take CCA in the place of the ridge
   regression).
4. The classifier of the bits: one Newton step of logistic regression from the classes' priors.

The MLP adds nothing to this code; fits begin from :mod:`..models.initialisation` all the same.
"""

import math

import torch
from torch import Tensor

from siglip2_multimodal_hash.models.config import BLOCK_ROWS, LANDMARKS
from siglip2_multimodal_hash.models.initialisation import rotated_map
from siglip2_multimodal_hash.models.linear_codes import principal_components, project
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData

STRENGTHS = tuple(10.0 ** (half / 2) for half in range(-4, 5))
"""Ridges that val chooses from, in units of the input's mean squared length."""

WHITENING = 0.25
"""Share of their deviation that the components lose: 0 keeps all, so that most bits follow the
first few; 1 leaves none, so that bits follow noise. By cross-validation on photos with captions
0.25 gained 2 points of the vote's mAP over 0 and lost 2 of retrieval's; 0.5 gained no more."""

_SMOOTHING = 1e-3
_CLASSIFIER_RIDGE = 0.3
_SMALLEST = 1e-12


class LabelTargets:
    """Targets whose inner products are the similarity of labels: [n, C] -> [n, C + components].

    Half of it is the cosine of the labels, centred and divided by each class's deviation, so that
    rare classes count as much as common ones: the vote's mAP is a mean over classes. The other half
    is +1 for pairs with a common label and -1 for the others, as retrieval judges them, by its
    largest positive eigenvalues (Nystroem's method).

    Args:
        labels: float64 [n, C] of the training images, which set priors, landmarks and scales.
        components: Most eigenvalues of the second half.
    """

    def __init__(self, labels: Tensor, components: int) -> None:
        self._prior = labels.mean(0)
        self._deviation = (self._prior * (1 - self._prior) + _SMOOTHING).sqrt()
        stride = -(-len(labels) // LANDMARKS)
        self._sets, counts = torch.unique(labels[::stride], dim=0, return_counts=True)
        root = (counts.to(labels.dtype) / counts.sum()).sqrt()
        values, vectors = torch.linalg.eigh(root[:, None] * self._share(self._sets) * root)
        kept = values.argsort(descending=True)[:components]
        kept = kept[values[kept] > _SMALLEST]
        self._basis = root[:, None] * vectors[:, kept] / values[kept].sqrt()
        shared = self._shared(labels)
        self._mean = shared.mean(0)
        self._scale = (shared - self._mean).square().sum(1).mean().sqrt().clamp(min=_SMALLEST)

    def __call__(self, labels: Tensor) -> Tensor:
        own = torch.nn.functional.normalize((labels - self._prior) / self._deviation, dim=1)
        shared = (self._shared(labels) - self._mean) / self._scale
        both: Tensor = torch.cat([own, shared], dim=1) / math.sqrt(2)
        return both

    def _shared(self, labels: Tensor) -> Tensor:
        # In blocks: of all of COCO's images the shares alone are 2 GB.
        parts = torch.split(labels, BLOCK_ROWS)
        return torch.cat([self._share(part) @ self._basis for part in parts])

    def _share(self, labels: Tensor) -> Tensor:
        share: Tensor = ((labels @ self._sets.T) > 0).to(labels.dtype)
        return share * 2 - 1


@torch.no_grad()
def closed_form_weights(
    network: HashNetwork, train: TrainingData, val: ValidationData, prior: Tensor, seed: int
) -> dict[str, Tensor]:
    """The state of ``network`` with shortcut and classifier solved for, and no part of the MLP.

    Args:
        network: At its start, with a shortcut; it is not changed.
        train: Its sample of pairs decides the code; see :meth:`.TrainingData.sample`.
        val: Chooses the ridge's strength, by the squared error of its targets.
        prior: float [C], the classes' log odds.
        seed: Of the first rotation.
    """
    layer = network.hash_layer
    if layer is None or layer.shortcut is None:
        raise ValueError("the head has no shortcut")
    targets = LabelTargets(train.labels.double().cpu(), layer.out_features)
    inputs, of_inputs = zip(
        *((network.mlp_input(v_img, v_txt).cpu(), y) for v_img, v_txt, y in train.sample()),
        strict=True,
    )
    x, labels = torch.cat(inputs), torch.cat(of_inputs).double().cpu()
    mean = x.mean(0)
    x -= mean
    x_val = torch.cat([network.mlp_input(*pair).cpu() for pair in val.pairs()]) - mean
    t = targets(labels)
    weights = ridge_map(x, t - t.mean(0), x_val, targets(val.labels.double().cpu()) - t.mean(0))
    weights = weights @ _components(x, weights, layer.out_features)
    weights, bits = rotated_map(x, weights, seed)
    of_classes, bias = _classifier(bits, labels, prior.double().cpu())
    state = {name: v.clone() for name, v in network.state_dict().items()}
    for name, v in {
        "hash_layer.weight": torch.zeros(()),
        "hash_layer.bias": -mean.double() @ weights,
        "hash_layer.shortcut.weight": weights.T,
        "hash_layer.normalise.running_mean": torch.zeros(()),
        "hash_layer.normalise.running_var": torch.ones(()),
        "classifier.weight": of_classes,
        "classifier.bias": bias,
    }.items():
        if name in state:
            state[name].copy_(v)
    return state


def ridge_map(x: Tensor, t: Tensor, x_val: Tensor, t_val: Tensor) -> Tensor:
    """The map of x to t, float64 [D, T], of the strength with the least error on val.

    Args:
        x: float32 [n, D], centred.
        t: float64 [n, T], centred.
        x_val: float32 [m, D].
        t_val: float64 [m, T].
    """
    # One decomposition serves all strengths.
    values, vectors = torch.linalg.eigh((x.T @ x).double())
    length = (values.sum() / len(x)).clamp(min=_SMALLEST)
    aligned = vectors.T @ (x.T @ t.float()).double()
    turned = x_val.double() @ vectors

    def error(strength: float) -> float:
        found = turned @ (aligned / (values + strength * length)[:, None])
        return float((found - t_val).square().sum())

    strength = min(STRENGTHS, key=error)
    weights: Tensor = vectors @ (aligned / (values + strength * length)[:, None])
    return weights


def _components(x: Tensor, weights: Tensor, count: int) -> Tensor:
    """The principal components of x @ weights, partly whitened, float64 [T, count].

    Those beyond T are 0, and so are those without variance.
    """
    predicted = project(x, weights)
    covariance = predicted.T @ predicted / len(x)
    components = principal_components(covariance, count).T
    variance = (components * (covariance @ components)).sum(0).clamp(min=_SMALLEST)
    return components * variance ** (-WHITENING / 2)


def _classifier(bits: Tensor, labels: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [C, bits] and biases [C] of the classes.

    Args:
        bits: float64 [n, bits] of -1 and 1.
        labels: float64 [n, C].
        prior: float64 [C], log odds.
    """
    mean, share = bits.mean(0), labels.mean(0)
    centred = bits - mean
    gram = centred.T @ centred + _CLASSIFIER_RIDGE * len(bits) * torch.eye(len(mean)).double()
    step = torch.linalg.solve(gram, centred.T @ (labels - share))
    weights = (step / (share * (1 - share) + _SMOOTHING)).T
    return weights, prior - weights @ mean
