"""Linear codes of float vectors: LSH, PCA-sign and ITQ, the baselines beside a learnt hash layer.

All three subtract the mean of the training vectors, project and take the sign; nothing but the
training vectors shapes them. All are deterministic for a given seed.

FAISS has two of them, ``IndexLSH`` and ``ITQTransform``, and no PCA-sign. These here are used
instead because they are in float64, take the run's seed and share one form, so that rows differ by
their projection alone; a test holds ITQ against FAISS's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import linalg

from siglip2_multimodal_hash.arrays import Codes, Vectors, check_size, check_vectors
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.models.config import BLOCK_ROWS
from siglip2_multimodal_hash.models.linear_codes import ITQ_ITERATIONS, itq_rotation
from siglip2_multimodal_hash.params import code_bytes
from siglip2_multimodal_hash.retrieval.codes import binarize

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearHash:
    """Soft code = (vector - mean) @ projection; bit = 1 where it is positive.

    Attributes:
        mean: float64 [D].
        projection: float64 [D, bits].
    """

    mean: Matrix
    projection: Matrix

    def soft_codes(self, vectors: npt.NDArray[Any]) -> Vectors:
        """Project, float32 [N, bits].

        Args:
            vectors: float [N, D].

        Raises:
            DataError: NaN, or another dimension than that of the training vectors.
        """
        vectors = check_vectors("vectors", vectors)
        check_size("dimensions of the vectors", vectors.shape[1], "of the training", len(self.mean))
        return self._project(vectors).astype(np.float32)

    def encode(self, vectors: npt.NDArray[Any]) -> Codes:
        """Packed codes, uint8 [N, bits / 8]; see :meth:`soft_codes`."""
        return binarize(self.soft_codes(vectors))

    def _project(self, vectors: Vectors) -> Matrix:
        projected = np.empty((len(vectors), self.projection.shape[1]))
        for start in range(0, len(vectors), BLOCK_ROWS):
            block = vectors[start : start + BLOCK_ROWS] - self.mean
            projected[start : start + BLOCK_ROWS] = block @ self.projection
        return projected


def fit_lsh(train: npt.NDArray[Any], bits: int, seed: int) -> LinearHash:
    """Random hyperplanes through the mean (Charikar, STOC 2002): Gaussian normals.

    Args:
        train: float [N, D]; only its mean is used.
        bits: A multiple of 8.
        seed: Of the hyperplanes.

    Raises:
        InputError: ``bits`` is not a positive multiple of 8, or there is no training vector.
        DataError: NaN, or not a float matrix.
    """
    train = check_vectors("training vectors", train)
    code_bytes(bits)  # refuses a width that is no whole number of bytes
    if len(train) == 0:
        raise InputError("training vectors: no row", "give the split more images")
    normals = np.random.default_rng(seed).standard_normal((train.shape[1], bits))
    return LinearHash(train.mean(axis=0, dtype=np.float64), normals)


def fit_pca_sign(train: npt.NDArray[Any], bits: int) -> LinearHash:
    """Signs of the ``bits`` first principal components.

    Args:
        train: float [N, D].
        bits: A multiple of 8, at most D and less than N.

    Raises:
        InputError: ``bits`` is not possible for the training vectors.
        DataError: NaN, or not a float matrix.
    """
    train = check_vectors("training vectors", train)
    code_bytes(bits)  # refuses a width that is no whole number of bytes
    # N centred vectors span N - 1 dimensions; components beyond them are rounding noise.
    rank = min(train.shape[1], len(train) - 1)
    if bits > rank:
        raise InputError(
            f"hash.bits = {bits}: {len(train)} training vectors of {train.shape[1]} dimensions "
            f"have at most {rank} principal components",
            "use fewer bits or more training images",
        )
    mean = train.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((train.shape[1], train.shape[1]))
    for start in range(0, len(train), BLOCK_ROWS):
        block = train[start : start + BLOCK_ROWS] - mean
        covariance += block.T @ block
    first = train.shape[1] - bits
    vectors = linalg.eigh(covariance, subset_by_index=(first, train.shape[1] - 1))[1][:, ::-1]
    # An eigenvector's sign is arbitrary: make its largest component positive.
    largest = np.abs(vectors).argmax(axis=0)
    return LinearHash(mean, vectors * np.sign(vectors[largest, np.arange(bits)]))


def fit_itq(
    train: npt.NDArray[Any], bits: int, seed: int, iterations: int = ITQ_ITERATIONS
) -> LinearHash:
    """Fit iterative quantisation: PCA, then the rotation of :func:`.itq_rotation`.

    Args:
        train: float [N, D].
        bits: A multiple of 8, at most D and less than N.
        seed: Of the first rotation.
        iterations: 50 in the paper.

    Raises:
        InputError: ``bits`` is not possible for the training vectors.
        DataError: NaN, or not a float matrix.
    """
    return rotated(fit_pca_sign(train, bits), train, seed, iterations)


def rotated(
    principal: LinearHash,
    train: npt.NDArray[Any],
    seed: int,
    iterations: int = ITQ_ITERATIONS,
) -> LinearHash:
    """:func:`fit_itq` from what :func:`fit_pca_sign` found in ``train``."""
    components = principal._project(check_vectors("training vectors", train))
    rotation = itq_rotation(torch.from_numpy(components), seed, iterations).numpy()
    return LinearHash(principal.mean, principal.projection @ rotation)
