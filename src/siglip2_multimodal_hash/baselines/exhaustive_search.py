"""Neighbours and ranking of what no index of the project holds: float vectors, and PQ.

Each query's similarities to all items are computed once; its nearest items and its figures come out
of them. A block of queries at a time, so that memory grows with the database alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from siglip2_multimodal_hash.arrays import Labels, Rows, Scores, Vectors
from siglip2_multimodal_hash.baselines.product_codes import QUERY_BLOCK, ProductCodes
from siglip2_multimodal_hash.evaluation.cosine_groups import cosine_blocks, distinct_vectors
from siglip2_multimodal_hash.evaluation.heads import QUERY_SPLITS, SplitRows
from siglip2_multimodal_hash.evaluation.histograms import in_threads
from siglip2_multimodal_hash.evaluation.protocol import Figures
from siglip2_multimodal_hash.evaluation.ranking import RankedQuery, Ranker
from siglip2_multimodal_hash.progress import phase
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.neighbours import (
    Neighbours,
    blocks,
    cosine_margin,
    near_the_nearest,
    nearest_of_candidates,
)

RANKED = "test"
"""The split of which baselines have figures of retrieval: on val they would choose nothing."""

# From the place among the queries and the similarities to all items, float32 [N].
Rank = Callable[[int, Scores], RankedQuery | None]
Answer = tuple[Neighbours, RankedQuery | None]
# An answer for each of the queries, of which the rows are given.
Search = Callable[[Rows, Rank], Iterator[Answer]]


@dataclass(frozen=True, eq=False)
class Searched:
    """What is found for the queries of val and test.

    Attributes:
        neighbours: By split; rows within :meth:`.SplitRows.database_of` it, [Q, K].
        retrieval: Figures of :data:`RANKED`, by that name.
    """

    neighbours: dict[str, Neighbours]
    retrieval: Figures


def search_vectors(units: Vectors, labels: Labels, rows: SplitRows, K: int) -> Searched:
    """Search by cosine: the neighbours are those of :func:`..retrieval.search.search_cosine`.

    Args:
        units: Unit vectors, float32 [N, D].
        labels: uint8 [N, C].
        rows: The splits.
        K: Neighbours per query, at most; a smaller database is ranked whole.
    """
    margin = cosine_margin(units.shape[1])

    def over(database: Rows, kept: int) -> Search:
        distinct = distinct_vectors(units, database)

        def search(queries: Rows, rank: Rank) -> Iterator[Answer]:
            vectors = unit_vectors(units[queries])
            for start, cosines in cosine_blocks(vectors, distinct):

                def answer(place: int, start: int = start, cosines: Scores = cosines) -> Answer:
                    query, similarities = start + place, cosines[place][distinct.of_item]
                    near = database[near_the_nearest(similarities, kept, margin)]
                    found = nearest_of_candidates(vectors[[query]], units, near[None], kept)
                    within = np.searchsorted(database, found.rows)
                    return Neighbours(within, found.similarities), rank(query, similarities)

                yield from in_threads(answer, range(len(cosines)))

        return search

    return _search_splits("float vectors", over, labels, rows, K)


def search_product_codes(
    fitted: ProductCodes, units: Vectors, labels: Labels, rows: SplitRows, K: int
) -> Searched:
    """Search by :meth:`.ProductCodes.similarities`, ties by lowest row.

    Args:
        fitted: The quantiser; all items are encoded.
        units: See :func:`search_vectors`.
        labels: See :func:`search_vectors`.
        rows: See :func:`search_vectors`.
        K: See :func:`search_vectors`.
    """
    codes = fitted.encode(units)

    def over(database: Rows, kept: int) -> Search:
        stored = codes[database]

        def search(queries: Rows, rank: Rank) -> Iterator[Answer]:
            for block in blocks(np.arange(len(queries)), QUERY_BLOCK):
                found = fitted.similarities(units[queries[block]], stored)

                def answer(place: int, block: Rows = block, found: Scores = found) -> Answer:
                    return nearest(found[place], kept), rank(int(block[place]), found[place])

                yield from in_threads(answer, range(len(block)))

        return search

    return _search_splits("product quantisation", over, labels, rows, K)


def nearest(similarities: Scores, K: int) -> Neighbours:
    """The K items of the largest similarities, float32 [N], ties by lowest row; [1, K]."""
    near = near_the_nearest(similarities, K)
    rows = near[np.argsort(-similarities[near], kind="stable")[:K]]
    return Neighbours(rows[None], similarities[rows][None])


def _search_splits(
    title: str, over: Callable[[Rows, int], Search], labels: Labels, rows: SplitRows, K: int
) -> Searched:
    """Search the queries of each split in its database, and rank it for those of one."""
    neighbours: dict[str, Neighbours] = {}
    retrieval: Figures = {}
    search, searched = None, np.empty(0, dtype=np.int64)
    for split in QUERY_SPLITS:
        queries, database = rows.queries(split), rows.database_of(split)
        kept = min(K, len(database))
        if search is None or not np.array_equal(database, searched):
            search, searched = over(database, kept), database
        found = Neighbours(
            np.empty((len(queries), kept), np.int64), np.empty((len(queries), kept), np.float32)
        )
        parts: list[tuple[Rows, Rank]] = [(np.arange(len(queries)), _unranked)]
        if split == RANKED:
            ranker = Ranker.of(labels[queries], labels[database])
            others = np.setdiff1d(parts[0][0], ranker.rows)
            parts = [(ranker.rows, ranker.rank), (others, _unranked)]
        ranked: list[RankedQuery] = []
        with phase(f"{title}, {split}", len(queries), "query") as shown:
            for places, rank in parts:
                answers = search(queries[places], rank)
                for place, (of_query, figures) in zip(places, answers, strict=True):
                    found.rows[place], found.similarities[place] = of_query
                    if figures is not None:
                        ranked.append(figures)
                    shown.update()
        neighbours[split] = found
        if ranked:
            retrieval[split] = ranker.retrieval(ranked).figures()
    return Searched(neighbours, retrieval)


def _unranked(_place: int, _similarities: Scores) -> None:
    """Figures of a query that needs none."""
