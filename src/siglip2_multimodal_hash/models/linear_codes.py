"""Linear codes without gradients: principal components and the rotation of ITQ."""

import numpy as np
import torch
from scipy import linalg
from torch import Tensor

from siglip2_multimodal_hash.models.config import BLOCK_ROWS

ITQ_ITERATIONS = 50  # as in the paper


def project(x: Tensor, weights: Tensor) -> Tensor:
    """The product in float64, without all of x in float64: [n, D] and [D, K] -> [n, K]."""
    return torch.cat([part.double() @ weights for part in torch.split(x, BLOCK_ROWS)])


def principal_components(covariance: Tensor, count: int) -> Tensor:
    """The eigenvectors of the largest eigenvalues, [count, D], the largest first.

    Each has its largest element positive, because its sign is arbitrary. Those of no variance, and
    those beyond D, are 0.

    Args:
        covariance: float64 [D, D].
        count: Number of components.
    """
    variances, vectors = torch.linalg.eigh(covariance)
    components = vectors.T.flip(0)
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    components = components * largest.sign()
    nothing = variances.flip(0) <= variances[-1] * len(variances) * torch.finfo(variances.dtype).eps
    components[nothing] = 0
    missing = components.new_zeros(max(count - len(components), 0), len(components))
    return torch.cat([components[:count], missing])


def itq_rotation(components: Tensor, seed: int, iterations: int = ITQ_ITERATIONS) -> Tensor:
    """The rotation of iterative quantisation (Gong and Lazebnik, CVPR 2011), [bits, bits].

    It brings the rows of V nearest to their signs: in turns B = sign(V R), and R = the orthogonal
    matrix that minimises |B - V R| (Procrustes: with the singular value decomposition
    B' V = S O T', R = T S'), from a random rotation.

    Args:
        components: V, float64 [N, bits].
        seed: Of the first rotation.
        iterations: 50 in the paper.
    """
    bits = components.shape[1]
    start = linalg.qr(np.random.default_rng(seed).standard_normal((bits, bits)))[0]
    rotation = torch.from_numpy(start)
    for _ in range(iterations):
        signs = torch.where(components @ rotation > 0, 1.0, -1.0).to(components.dtype)
        left, _singular, right = torch.linalg.svd(signs.T @ components)
        rotation = right.T @ left.T
    return rotation
