"""Arguments and results of a search, and the ranking of candidates by cosine that all share.

Similarities lie in [0, 1] and mean the same for every distance: ``1 - d / bits`` for a Hamming
distance d, and ``(1 + cos) / 2`` for a cosine. For vectors of -1 and +1 the two are equal, so
``knn.tau`` and ``knn.threshold`` keep their meaning when ``knn.distance`` changes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Rows, Vectors

# In the place of a neighbour that was not found.
NO_ROW = -1

# Elements of a block of gathered vectors: 32 MB in float64, whatever K and the dimension.
COSINE_ELEMENTS = 4_000_000


class SoftAndPacked(NamedTuple):
    """The codes of a set of items.

    Attributes:
        soft: Soft codes, or fused vectors where ``hash.bits`` is 0; float [N, D].
        packed: uint8 [N, bits / 8], or None where ``hash.bits`` is 0.
    """

    soft: npt.NDArray[Any]
    packed: npt.NDArray[Any] | None


class Neighbours(NamedTuple):
    """The K nearest items of each query, nearest first.

    Attributes:
        rows: Rows of the database, int64 [Q, K]. Where an index that does not look at every item
            finds fewer than K, the last ones are :data:`NO_ROW`.
        similarities: In [0, 1], not increasing along a row, float32 [Q, K]; 0 without a neighbour.
    """

    rows: Rows
    similarities: npt.NDArray[np.float32]


def nearest_of_candidates(
    queries: Vectors, database: Vectors, candidates: Rows, K: int
) -> Neighbours:
    """Find the K nearest by cosine among each query's candidates, ties by lowest row.

    The cosine is summed in float64 in a fixed order, so a pair's similarity depends on nothing
    but the pair; two items tie when their similarities are equal in float32.

    Args:
        queries: Unit vectors, float32 [Q, D].
        database: Unit vectors, float32 [N, D].
        candidates: Rows of ``database``, int64 [Q, M]; :data:`NO_ROW` is none.
        K: From 1 to M.
    """
    neighbours = Neighbours(
        np.empty((len(queries), K), np.int64), np.empty((len(queries), K), np.float32)
    )
    per_query = candidates.shape[1] * queries.shape[1]
    for block in blocks(np.arange(len(queries)), COSINE_ELEMENTS // per_query):
        rows = candidates[block]
        # Products of two float32 are exact in float64.
        products = database[rows] * queries[block][:, None, :].astype(np.float64)
        similarities = ((1 + products.sum(axis=-1)) / 2).clip(0, 1).astype(np.float32)
        # Behind all others, which have at least 0, and then 0 as well.
        similarities[rows == NO_ROW] = -1
        best = np.lexsort((rows, -similarities), axis=-1)[:, :K]
        neighbours.rows[block] = np.take_along_axis(rows, best, axis=1)
        neighbours.similarities[block] = np.take_along_axis(similarities, best, axis=1).clip(0)
    return neighbours


def cosine_margin(dim: int) -> float:
    """How far two cosines of unit vectors may lie apart in float32 that in float64 are one.

    Two dot products, each off by at most dim * 2^-24 (Higham, Accuracy and Stability of Numerical
    Algorithms, section 3.1), and the rounding of lengths and similarities.
    """
    return (dim + 8) * 2.0**-23


def near_the_nearest(
    similarities: npt.NDArray[np.float32], K: int, margin: float = 0.0
) -> npt.NDArray[np.intp]:
    """Items of one query that are at most ``margin`` less similar than the K-th nearest, by row.

    Args:
        similarities: Of the N items, float32 [N].
        K: From 1 to N.
        margin: At least 0.
    """
    place = len(similarities) - K
    return np.flatnonzero(similarities >= np.partition(similarities, place)[place] - margin)


def blocks(rows: Rows, size: int) -> Iterator[Rows]:
    """Cut ``rows`` in runs of at most ``size``, and of at least 1."""
    step = max(1, size)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
