"""Distances of relevant and irrelevant items from the queries: pairs counted by distance."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Counts, check_size
from siglip2_multimodal_hash.evaluation.histograms import hamming_groups, in_threads, pack_labels

COSINE_BINS = 64


class DistanceDistribution(NamedTuple):
    """Pairs of query and item by distance; two items are relevant if they share a label.

    Attributes:
        distances: Hamming distances 0 to ``bits``; or the middles of equal bins of
            ``(1 - cos) / 2`` from 0 to 1. float64 [B].
        relevant: Relevant pairs at each, int64 [B].
        irrelevant: The others, int64 [B].
    """

    distances: npt.NDArray[np.float64]
    relevant: Counts
    irrelevant: Counts


def hamming_distribution(
    query_codes: npt.NDArray[Any],
    database_codes: npt.NDArray[Any],
    query_labels: npt.NDArray[Any],
    database_labels: npt.NDArray[Any],
) -> DistanceDistribution:
    """Count all pairs by Hamming distance.

    Args:
        query_codes: uint8 [Q, bits / 8].
        database_codes: uint8 [N, bits / 8].
        query_labels: uint8 [Q, C].
        database_labels: uint8 [N, C].

    Raises:
        DataError: Arrays that do not fit each other.
    """
    groups, _ = hamming_groups(query_codes, database_codes, query_labels, database_labels)
    relevant = groups.relevant.sum(axis=0)
    irrelevant = groups.counts.sum(axis=0) - relevant
    return DistanceDistribution(np.arange(len(relevant), dtype=np.float64), relevant, irrelevant)


def cosine_distribution(
    query_vectors: npt.NDArray[Any],
    database_vectors: npt.NDArray[Any],
    query_labels: npt.NDArray[Any],
    database_labels: npt.NDArray[Any],
) -> DistanceDistribution:
    """Count all pairs by cosine, in :data:`COSINE_BINS` bins of ``(1 - cos) / 2``.

    Args:
        query_vectors: Unit vectors, float [Q, D].
        database_vectors: Unit vectors, float [N, D].
        query_labels: uint8 [Q, C].
        database_labels: uint8 [N, C].

    Raises:
        DataError: Arrays that do not fit each other.
    """
    check_size("rows of the queries", len(query_vectors), "of their labels", len(query_labels))
    check_size("rows of the database", len(database_vectors), "of its labels", len(database_labels))
    labels = pack_labels(query_labels, database_labels)

    def count(query: int) -> Counts:
        """Pairs by relevance and bin, int64 [2, B]."""
        distances = (1 - database_vectors @ query_vectors[query]) / 2
        bins = (distances * COSINE_BINS).astype(np.intp).clip(0, COSINE_BINS - 1)
        cells = bins + COSINE_BINS * (labels.shared(query) > 0)
        return np.bincount(cells, minlength=2 * COSINE_BINS).reshape(2, COSINE_BINS)

    irrelevant, relevant = np.sum(in_threads(count, range(len(query_vectors))), axis=0)
    middles = (np.arange(COSINE_BINS) + 0.5) / COSINE_BINS
    return DistanceDistribution(middles, relevant, irrelevant)
