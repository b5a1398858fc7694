"""The counts of :mod:`.histograms` for float vectors, ranked by cosine.

Items tie where their cosines are equal in float32. Equal vectors are compared once and share the
result, and the distinct ones are taken in the order of their bytes: so the order of the database
changes nothing, although a matrix product may round equal columns differently.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Counts, Vectors
from siglip2_multimodal_hash.evaluation.histograms import LabelWords
from siglip2_multimodal_hash.evaluation.tie_aware import TieGroups

# Cosines held at a time: some 30 MB.
COSINES = 8_000_000
# Steps of the distance (1 - cos) / 2, which for vectors of -1 and +1 is the Hamming distance over
# the bits: the curve of float vectors has the abscissas of that of 64 bits.
RADII = 64
# A cosine of unit vectors may fall short of its exact value, such as 1 for equal ones, by rounding.
ROUNDING = 1e-6


class DistinctVectors(NamedTuple):
    """A database without repetitions.

    Attributes:
        vectors: The distinct unit vectors, float32 [U, D], by their bytes.
        of_item: Row of ``vectors`` for each item, int64 [N].
    """

    vectors: Vectors
    of_item: Counts


def distinct_vectors(units: Vectors) -> DistinctVectors:
    """Find the distinct rows of unit vectors, float32 [N, D]."""
    # -0.0 has other bytes than 0.0.
    units = np.ascontiguousarray(units + np.float32(0))
    whole_rows = units.view(np.dtype((np.void, units.shape[1] * units.itemsize))).ravel()
    _, first, inverse = np.unique(whole_rows, return_index=True, return_inverse=True)
    return DistinctVectors(units[first], inverse.ravel().astype(np.int64))


def cosine_blocks(queries: Vectors, database: DistinctVectors) -> Iterator[tuple[int, Any]]:
    """Yield the first query of a block and the cosines of its queries, float32 [B, U]."""
    size = max(1, COSINES // len(database.vectors))
    for start in range(0, len(queries), size):
        yield start, queries[start : start + size] @ database.vectors.T


def cosine_groups(
    cosines: npt.NDArray[np.float32], database: DistinctVectors, labels: LabelWords, query: int
) -> tuple[TieGroups, Counts, TieGroups]:
    """Group the database by its cosine with one query.

    Args:
        cosines: Of the query with the distinct vectors, float32 [U].
        database: The N items.
        labels: Of queries and database.
        query: Row of the query.

    Returns:
        Groups of equal cosine, nearest first, [1, G]; the number of items by gain,
        int64 [1, S + 1]; and groups of items at a distance (1 - cos) / 2 of at most 0, 1/64, ...,
        64/64 that no smaller one holds, [1, 65].
    """
    # One sort of (falling cosine, shared labels) replaces an argsort and two gathers.
    keys = _falling_keys(cosines)[database.of_item].astype(np.uint64) << np.uint64(16)
    keys |= labels.shared(query)
    keys.sort()
    gains = (keys & np.uint64(0xFFFF)).astype(np.int64)
    ranked = (keys >> np.uint64(16)).astype(np.uint32)
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    groups = _by_ends(gains, ends + 1)
    edges = 1 - 2 * np.arange(RADII + 1) / RADII - ROUNDING
    limits = np.searchsorted(ranked, _falling_keys(edges.astype(np.float32)), side="right")
    gain_counts = np.bincount(gains, minlength=labels.levels)[None]
    return groups, gain_counts, _by_ends(gains, limits)


def _falling_keys(cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Integers in the opposite order of float32 values, equal where those are equal.

    The bits of a float order the positive ones by value and the negative ones by magnitude.
    """
    bits = (cosines + np.float32(0)).view(np.uint32)  # + 0 turns -0.0 into 0.0
    return np.where(bits >> np.uint32(31), bits, bits ^ np.uint32(0x7FFFFFFF))


def _by_ends(gains: Counts, ends: npt.NDArray[np.intp]) -> TieGroups:
    """Cut ranked items in groups [1, G], given how many items there are up to each end."""
    totals = np.concatenate(([0], np.cumsum(gains)))[ends]
    relevant = np.concatenate(([0], np.cumsum(gains > 0)))[ends]
    return TieGroups(
        np.diff(ends, prepend=0)[None],
        np.diff(relevant, prepend=0)[None],
        np.diff(totals, prepend=0)[None],
    )
