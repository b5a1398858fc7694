"""Retrieval figures: a set of queries against a database.

Relevance: at least one shared label. Queries without any relevant item are left out and counted.
Every figure that depends on the order of equally distant items is its expectation over random
orders (see :mod:`.tie_aware`), so shuffling the database changes nothing.

- ``mAP@R``: mean over queries of AP within the first R; the divisor is the number of relevant
  items *within the first R*, and a query with none counts 0. The convention of the deep-hashing
  literature (HashNet, OrthoHash and others).
- ``mAP@R (recall-normalised)``: the divisor is min(R, all relevant items), as in the retrieval
  track of Google Landmarks (Weyand et al., CVPR 2020). With R = all it is ``mAP@all``.
- ``P@N``: share of the first N that is relevant.
- ``NDCG@100``: gain = number of shared labels, discount 1 / log2(1 + place), normalised by the best
  order of the database (Järvelin and Kekäläinen, ACM TOIS 2002; scikit-learn's ``ndcg_score``).
- ``precision@radius2``, ``recall@radius2``: of the items within Hamming distance 2; a query with no
  item there counts 0 in both (Wang, Kumar and Chang, TPAMI 2012); ``empty@radius2`` is the share
  of such queries.
- The curve: precision and recall of the items within each distance, mean over the queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Counts, Floats, Vectors, check_size
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.cosine_groups import (
    cosine_blocks,
    distinct_vectors,
    similarity_groups,
)
from siglip2_multimodal_hash.evaluation.histograms import (
    LabelWords,
    hamming_groups,
    in_threads,
    pack_labels,
    relevant_totals,
)
from siglip2_multimodal_hash.evaluation.tie_aware import (
    TieGroups,
    expected_average_precision,
    expected_dcg,
    expected_normalised_average_precision,
    expected_precision_at,
    ideal_dcg,
)
from siglip2_multimodal_hash.retrieval.codes import unit_vectors

AP_CUTOFFS = (5000, 1000, 100)
PRECISION_CUTOFFS = (1, 10, 100, 1000)
NDCG_CUTOFF = 100
RADIUS = 2


@dataclass(frozen=True, eq=False)
class RadiusCurve:
    """Precision and recall of the items within a growing distance; one entry per distance.

    Attributes:
        distances: Hamming distance over the bits, or (1 - cos) / 2; float64 [P].
        precision: Mean over the queries that have an item there.
        recall: Mean over all queries.
    """

    distances: Floats
    precision: Floats
    recall: Floats


@dataclass(frozen=True, eq=False)
class Retrieval:
    """The figures of each query, and what was left out.

    Attributes:
        per_query: Name of the figure -> float64 [Q'], for the queries with a relevant item.
        rows: Their rows among the Q queries, int64 [Q'].
        queries: Q.
        chance: Mean share of the database that is relevant: P@N of a random order.
        curve: Precision and recall by distance.
    """

    per_query: dict[str, Floats]
    rows: Counts
    queries: int
    chance: float
    curve: RadiusCurve

    def figures(self) -> dict[str, float]:
        """Means over the queries with a relevant item, the chance level and the counts."""
        means = {name: float(values.mean()) for name, values in self.per_query.items()}
        return means | {
            "chance": self.chance,
            "queries": self.queries,
            "queries_without_relevant": self.queries - len(self.rows),
        }

    def of_every_query(self, name: str) -> Floats:
        """One figure of all Q queries, float64 [Q]; NaN for those without a relevant item."""
        values = np.full(self.queries, np.nan)
        values[self.rows] = self.per_query[name]
        return values


def evaluate_codes(
    query_codes: npt.NDArray[Any],
    database_codes: npt.NDArray[Any],
    query_labels: npt.NDArray[Any],
    database_labels: npt.NDArray[Any],
) -> Retrieval:
    """Evaluate retrieval by Hamming distance.

    Args:
        query_codes: uint8 [Q, bits / 8].
        database_codes: uint8 [N, bits / 8].
        query_labels: uint8 [Q, C].
        database_labels: uint8 [N, C].

    Raises:
        DataError: No query has a relevant item, or arrays that do not fit each other.
    """
    groups, gain_counts = hamming_groups(query_codes, database_codes, query_labels, database_labels)
    totals = groups.relevant.sum(axis=1)
    rows = np.flatnonzero(totals)
    _check_some(rows)
    groups = TieGroups(groups.counts[rows], groups.relevant[rows], groups.gains[rows])
    per_query = _figures(groups, gain_counts[rows])
    items = groups.counts[:, : RADIUS + 1].sum(axis=1)
    hits = groups.relevant[:, : RADIUS + 1].sum(axis=1)
    per_query[f"precision@radius{RADIUS}"] = hits / np.maximum(items, 1)
    per_query[f"recall@radius{RADIUS}"] = hits / totals[rows]
    per_query[f"empty@radius{RADIUS}"] = (items == 0).astype(np.float64)
    chance = float(totals[rows].mean() / len(database_codes))
    return Retrieval(per_query, rows, len(query_codes), chance, _curve(groups))


def evaluate_vectors(
    query_vectors: npt.NDArray[Any],
    database_vectors: npt.NDArray[Any],
    query_labels: npt.NDArray[Any],
    database_labels: npt.NDArray[Any],
) -> Retrieval:
    """Evaluate retrieval by cosine: as :func:`evaluate_codes`, but without a Hamming radius.

    Args:
        query_vectors: float [Q, D], of any length.
        database_vectors: float [N, D], of any length.
        query_labels: uint8 [Q, C].
        database_labels: uint8 [N, C].

    Raises:
        DataError: No query has a relevant item, or arrays that do not fit each other.
    """
    queries, database = unit_vectors(query_vectors), unit_vectors(database_vectors)
    check_size(
        "columns of the query vectors", queries.shape[1], "of the database's", database.shape[1]
    )
    check_size("rows of the query vectors", len(queries), "of the query labels", len(query_labels))
    check_size(
        "rows of the database vectors",
        len(database),
        "of the database labels",
        len(database_labels),
    )
    ranker = Ranker.of(query_labels, database_labels)
    distinct = distinct_vectors(database)
    ranked: list[RankedQuery] = []
    for start, cosines in cosine_blocks(queries[ranker.rows], distinct):

        def rank(place: int, start: int = start, cosines: Vectors = cosines) -> RankedQuery:
            return ranker.rank(start + place, cosines[place][distinct.of_item])

        ranked += in_threads(rank, range(len(cosines)))
    return ranker.retrieval(ranked)


class RankedQuery(NamedTuple):
    """One query with a relevant item: its figures, float64 [1] each, and its groups by radius."""

    figures: dict[str, Floats]
    radii: TieGroups


@dataclass(frozen=True, eq=False)
class Ranker:
    """Figures of queries whose similarities to all items are computed elsewhere, query by query.

    Attributes:
        rows: The queries with a relevant item, int64 [Q'].
        labels: Of these and of the database.
        totals: Relevant items of each, int64 [Q'].
        queries: Q.
        items: N.
    """

    rows: Counts
    labels: LabelWords
    totals: Counts
    queries: int
    items: int

    @classmethod
    def of(cls, query_labels: npt.NDArray[Any], database_labels: npt.NDArray[Any]) -> Self:
        """Look for the queries with a relevant item.

        Args:
            query_labels: uint8 [Q, C].
            database_labels: uint8 [N, C].

        Raises:
            DataError: There is none, or labels that do not fit each other.
        """
        totals = relevant_totals(query_labels, database_labels)
        rows = np.flatnonzero(totals)
        _check_some(rows)
        labels = pack_labels(query_labels[rows], database_labels)
        return cls(rows, labels, totals[rows], len(query_labels), len(database_labels))

    def rank(self, place: int, similarities: npt.NDArray[np.float32]) -> RankedQuery:
        """Rank the items for the query ``rows[place]``.

        Args:
            place: From 0 to Q' - 1.
            similarities: To each item, float32 [N]; equal ones tie.
        """
        shared = self.labels.shared(place)
        groups, gain_counts, radii = similarity_groups(similarities, shared, self.labels.levels)
        return RankedQuery(_figures(groups, gain_counts), radii)

    def retrieval(self, ranked: Sequence[RankedQuery]) -> Retrieval:
        """All figures, from what :meth:`rank` gave for each of ``rows``, in their order."""
        per_query = {
            name: np.concatenate([of.figures[name] for of in ranked]) for name in ranked[0].figures
        }
        radii = TieGroups(
            np.concatenate([of.radii.counts for of in ranked]),
            np.concatenate([of.radii.relevant for of in ranked]),
            np.concatenate([of.radii.gains for of in ranked]),
        )
        chance = float(self.totals.mean() / self.items)
        return Retrieval(per_query, self.rows, self.queries, chance, _curve(radii))


def _figures(groups: TieGroups, gain_counts: Counts) -> dict[str, Floats]:
    """Compute the figures that depend on the order alone; float64 [Q] each."""
    totals = groups.relevant.sum(axis=1)
    size = int(groups.counts[0].sum())
    figures = {"mAP@all": expected_average_precision(groups, size)}
    for cutoff in AP_CUTOFFS:
        name = f"mAP@{cutoff}"
        figures[name] = expected_average_precision(groups, cutoff)
        figures[f"{name} (recall-normalised)"] = expected_normalised_average_precision(
            groups, totals, cutoff
        )
    for cutoff in PRECISION_CUTOFFS:
        figures[f"P@{cutoff}"] = expected_precision_at(groups, cutoff)
    figures[f"NDCG@{NDCG_CUTOFF}"] = expected_dcg(groups, NDCG_CUTOFF) / ideal_dcg(
        gain_counts, NDCG_CUTOFF
    )
    return figures


def _curve(groups: TieGroups) -> RadiusCurve:
    """Precision and recall within each column's distance, where any query has an item."""
    items = np.cumsum(groups.counts, axis=1)
    hits = np.cumsum(groups.relevant, axis=1)
    some = items > 0
    precision = np.divide(hits, items, out=np.zeros(items.shape), where=some)
    reached = np.flatnonzero(some.any(axis=0))
    distances = np.arange(items.shape[1]) / (items.shape[1] - 1)
    return RadiusCurve(
        distances[reached],
        precision[:, reached].sum(axis=0) / some[:, reached].sum(axis=0),
        (hits / hits[:, -1:]).mean(axis=0)[reached],
    )


def _check_some(rows: Counts) -> None:
    if not len(rows):
        raise DataError("no query shares a label with any item of the database")
