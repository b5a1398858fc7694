"""The counts of :mod:`.histograms` for items ranked by a similarity: float vectors by cosine.

Items tie where their similarities are equal in float32. Equal vectors are compared once and share
the result, and the distinct ones are taken in the order of their bytes: so the order of the
database changes nothing, although a matrix product may round equal columns differently.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Counts, Rows, Vectors
from siglip2_multimodal_hash.evaluation.tie_aware import TieGroups

# Cosines held at a time, 128 MB: of fewer queries, a product is slower by up to a third.
COSINES = 32_000_000
# Vectors compared with their successors at a time.
_BLOCK = 4096
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


def distinct_vectors(units: Vectors, rows: Rows | None = None) -> DistinctVectors:
    """Find the distinct rows of unit vectors, with no copy but the result.

    Args:
        units: C-contiguous float32 [M, D], of :func:`..retrieval.codes.unit_vectors`.
        rows: Ascending rows of ``units`` that are the N items; all of them where it is None.
    """
    whole_rows = units.view(np.dtype((np.void, units.shape[1] * units.itemsize))).ravel()
    place = np.full(len(units), -1)
    items = np.arange(len(units)) if rows is None else rows
    place[items] = np.arange(len(items))
    order = np.argsort(whole_rows, kind="stable")
    order = order[place[order] >= 0]
    new = np.ones(len(order), dtype=bool)
    for start in range(1, len(order), _BLOCK):
        some = units[order[start - 1 : start + _BLOCK]]
        new[start : start + _BLOCK] = (some[1:] != some[:-1]).any(axis=1)
    of_item = np.empty(len(order), dtype=np.int64)
    of_item[place[order]] = np.cumsum(new) - 1
    return DistinctVectors(units[order[new]], of_item)


def cosine_blocks(queries: Vectors, database: DistinctVectors) -> Iterator[tuple[int, Any]]:
    """Yield the first query of a block and the cosines of its queries, float32 [B, U]."""
    size = max(1, COSINES // len(database.vectors))
    for start in range(0, len(queries), size):
        yield start, queries[start : start + size] @ database.vectors.T


def similarity_groups(
    similarities: npt.NDArray[np.float32], shared: npt.NDArray[np.uint16], levels: int
) -> tuple[TieGroups, Counts, TieGroups]:
    """Group the N items of a database by their similarity to one query.

    Args:
        similarities: Cosines, or what falls as a distance grows; float32 [N].
        shared: Labels that the query shares with each item, [N].
        levels: One more than the most labels that it can share.

    Returns:
        Groups of equal similarity, nearest first, [1, G]; the number of items by gain,
        int64 [1, S + 1]; and, of cosines, groups of items at a distance (1 - cos) / 2 of at most
        0, 1/64, ..., 64/64 that no smaller one holds, [1, 65].
    """
    # One sort of (falling similarity, shared labels) replaces an argsort and two gathers.
    halves = np.empty((len(similarities), 2), dtype="<u4")
    halves[:, 0], halves[:, 1] = shared, _falling_keys(similarities)
    halves.view("<u8")[:, 0].sort()
    gains, ranked = halves.T.copy()
    totals, relevant = _running(gains), _running(gains > 0)
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) + 1
    edges = 1 - 2 * np.arange(RADII + 1) / RADII - ROUNDING
    limits = np.searchsorted(ranked, _falling_keys(edges.astype(np.float32)), side="right")
    groups, radii = (
        TieGroups(*(_steps(of)[None] for of in (to, relevant[to], totals[to])))
        for to in (ends, limits)
    )
    return groups, np.bincount(gains, minlength=levels)[None], radii


def _falling_keys(cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Integers in the opposite order of float32 values, equal where those are equal.

    The bits of a float order the positive ones by value and the negative ones by magnitude.
    """
    bits = (cosines + np.float32(0)).view(np.uint32)  # + 0 turns -0.0 into 0.0
    positive = (bits >> np.uint32(31)) - np.uint32(1)  # all ones, and 0 for a negative value
    return bits ^ (positive & np.uint32(0x7FFFFFFF))


def _running(values: npt.NDArray[Any]) -> Counts:
    """Sums of the first 0, 1, ... values."""
    sums = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


def _steps(sums: Counts) -> Counts:
    """What each running sum adds to the one before."""
    steps = sums.copy()
    steps[1:] -= sums[:-1]
    return steps
