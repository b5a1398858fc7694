"""Codes as vectors of decorrelated bits: whitening by the covariance of the database.

Learned bits agree with each other, because frequent classes draw many of them, so a plain distance
counts what these say several times. In the basis of W = (S + 0.1 I)^(-1/2), S being the covariance
of the database's bits as -1 and +1, each direction counts once (Mahalanobis; for descriptors Jégou
and Chum, ECCV 2012). W is made of the stored bits alone and has bits^2 numbers.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Vectors, check_size, check_vectors
from siglip2_multimodal_hash.retrieval.codes import BLOCK_ROWS, unit_vectors, unpack

Matrix = npt.NDArray[np.float64]

# Beside a variance of at most 1, so that a direction of next to no variance is not all that counts.
# From 0.03 to 0.3 it makes no difference on val.
SHRINKAGE = 0.1


def signs_of(packed: npt.NDArray[Any], bits: int) -> Vectors:
    """Bits as -1 and +1, float32 [N, bits].

    Args:
        packed: uint8 [N, bits / 8].
        bits: Their width.

    Raises:
        DataError: Not packed codes, or not of that width.
    """
    return 2 * unpack(packed, bits).astype(np.float32) - 1


def whitening_of(signs: Vectors) -> Matrix:
    """W = (S + 0.1 I)^(-1/2), symmetric, float64 [bits, bits]; S has the divisor N.

    Args:
        signs: Of the database, float32 [N, bits] of -1 and +1.
    """
    # Sums of -1 and +1 are exact in float64, so neither their order nor threads matter.
    products = signs.T.astype(np.float64) @ signs.astype(np.float64) / len(signs)
    mean = signs.mean(axis=0, dtype=np.float64)
    covariance = products - np.outer(mean, mean)
    variances, directions = np.linalg.eigh(covariance)
    # Rounding may put a variance of 0 below it.
    scales = 1 / np.sqrt(variances.clip(min=0) + SHRINKAGE)
    whitening: Matrix = (directions * scales) @ directions.T
    return whitening


def whitened(vectors: npt.NDArray[Any], whitening: Matrix) -> Vectors:
    """Unit vectors in the whitened basis, float32 [N, bits].

    A row's result does not depend on the other rows; equal rows give equal results.

    Args:
        vectors: Soft codes or signs, float [N, bits].
        whitening: See :func:`whitening_of`.

    Raises:
        DataError: NaN or infinity, or another width.
    """
    vectors = check_vectors("codes to whiten", vectors)
    check_size("bits of the codes", vectors.shape[1], "of the whitening", len(whitening))
    result = np.empty_like(vectors)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS].astype(np.float64)
        turned = np.zeros_like(block)
        # One bit at a time, in order: a matrix product rounds a row by its place in the block.
        for bit, row in enumerate(whitening):
            turned += block[:, bit, None] * row
        result[start : start + BLOCK_ROWS] = turned
    return unit_vectors(result)
