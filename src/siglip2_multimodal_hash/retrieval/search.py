"""Exact nearest neighbours; among equally near items the one with the lowest row comes first.

FAISS finds the distance of the K-th neighbour, but which of the items at exactly that distance it
returns is not documented, and in Hamming space hundreds of items share a distance. Here the choice
is fixed, so the neighbours depend on neither batch size, threads nor device.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.retrieval.checks import (
    Codes,
    check_codes,
    check_neighbour_count,
    check_size,
)
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import CodeIndex, build_index, on_gpu, unit_view
from siglip2_multimodal_hash.retrieval.neighbours import (
    COSINE_ELEMENTS,
    Neighbours,
    SoftAndPacked,
    blocks,
    nearest_of_candidates,
)

# Items that a range search may return at a time, if all codes are equal: some 0.3 GB.
RANGE_ITEMS = 20_000_000
# FAISS on a GPU selects at most this many.
GPU_NEIGHBOURS = 1024
# Spare candidates of a cosine search at first; more where near ties need them.
SPARE = 16


def find_neighbours(
    index: CodeIndex,
    queries: SoftAndPacked,
    database: SoftAndPacked,
    *,
    distance: Literal["hamming", "cosine", "hybrid"],
    K: int,
    shortlist: int,
) -> Neighbours:
    """Search by the distance that ``knn.distance`` names.

    Args:
        index: Over ``database.packed``, or over ``database.soft`` where ``hash.bits`` is 0.
        queries: Q items.
        database: N items, in the row order of ``index``.
        distance: ``hamming``, ``cosine`` (of the soft codes) or ``hybrid``.
        K: ``knn.K``.
        shortlist: ``knn.shortlist``, for ``hybrid``.

    Raises:
        InputError: K is more than N, or the distance needs codes and there are none.
        DataError: Arrays that do not fit each other.
    """
    if distance == "cosine":
        if index.meta.bits:
            index = build_index(unit_vectors(database.soft))
        return search_cosine(index, queries.soft, K)
    if queries.packed is None:
        raise InputError(
            f"knn.distance = {distance}: hash.bits = 0 means no binary code",
            "set knn.distance to cosine, or hash.bits to 16, 32, 64 or 128",
        )
    if distance == "hamming":
        return search_hamming(index, queries.packed, K)
    return search_hybrid(
        index, queries.packed, queries.soft, database.soft, K=K, shortlist=shortlist
    )


def search_hamming(index: CodeIndex, queries: npt.NDArray[Any], K: int) -> Neighbours:
    """Find the K nearest by Hamming distance, ties by lowest row.

    Two passes of FAISS: the first gives the distance of the K-th neighbour, the second every item
    up to that distance, of which the K with the least (distance, row) are kept.

    Args:
        index: Over N packed codes.
        queries: uint8 [Q, bits / 8].
        K: From 1 to N.

    Raises:
        InputError: K out of range.
        DataError: Not packed codes, or of another width than the index's.
    """
    queries = check_codes("query codes", queries)
    check_size("bits of the query codes", queries.shape[1] * 8, "of the index", index.meta.bits)
    count = index.meta.count
    check_neighbour_count(K, count)
    furthest = _furthest_distances(index, queries, K)
    # One integer holds (distance, row), so that one sort orders by both.
    keys = np.empty((len(queries), K), dtype=np.int64)
    for distance in np.unique(furthest):
        for block in blocks(np.flatnonzero(furthest == distance), RANGE_ITEMS // count):
            # FAISS keeps what is strictly nearer than the radius.
            limits, distances, rows = index.faiss_index.range_search(
                queries[block], int(distance) + 1
            )
            found = distances.astype(np.int64) * count + rows
            for position, query in enumerate(block):
                within = found[int(limits[position]) : int(limits[position + 1])]
                keys[query] = np.sort(np.partition(within, K - 1)[:K])
    similarities = 1 - (keys // count) / index.meta.bits
    return Neighbours(keys % count, similarities.astype(np.float32))


def search_cosine(index: CodeIndex, queries: npt.NDArray[Any], K: int) -> Neighbours:
    """Find the K nearest by cosine, ties by lowest row.

    FAISS sums float32 products in an order that depends on the batch, so its last digits decide
    nothing here: it proposes candidates, down to below the K-th by twice the error that summation
    can make, for :func:`~.neighbours.nearest_of_candidates` to rank.

    Args:
        index: Over N unit vectors.
        queries: float [Q, D], of any length.
        K: From 1 to N.

    Raises:
        InputError: K out of range.
        DataError: Not finite vectors, or of another dimension than the index's.
    """
    units, database = unit_vectors(queries), unit_view(index)
    dim, count = index.meta.dim, index.meta.count
    check_size("dimensions of the query vectors", units.shape[1], "of the index", dim)
    check_neighbour_count(K, count)
    # Two dot products, each off by at most dim * 2^-24 (Higham, Accuracy and Stability of
    # Numerical Algorithms, section 3.1), and the rounding of lengths and similarities.
    margin = (dim + 8) * 2.0**-23
    rows = np.empty((len(units), K), dtype=np.int64)
    similarities = np.empty((len(units), K), dtype=np.float32)
    pending, width = np.arange(len(units)), min(count, K + SPARE)
    while pending.size:
        unresolved = []
        for block in blocks(pending, COSINE_ELEMENTS // width):
            approximate, candidates = index.faiss_index.search(units[block], width)
            complete = approximate[:, -1] < approximate[:, K - 1] - margin
            complete |= width == count
            done = block[complete]
            rows[done], similarities[done] = nearest_of_candidates(
                units[done], database, candidates[complete], K
            )
            unresolved.append(block[~complete])
        pending, width = np.concatenate(unresolved), min(count, width * 4)
    return Neighbours(rows, similarities)


def search_hybrid(
    index: CodeIndex,
    queries: npt.NDArray[Any],
    query_vectors: npt.NDArray[Any],
    database_vectors: npt.NDArray[Any],
    *,
    K: int,
    shortlist: int,
) -> Neighbours:
    """Keep the K nearest by cosine of a shortlist by Hamming distance.

    Args:
        index: Over N packed codes.
        queries: uint8 [Q, bits / 8].
        query_vectors: The queries' soft codes, float [Q, bits].
        database_vectors: The items' soft codes, float [N, bits].
        K: From 1 to N, at most ``shortlist``.
        shortlist: Candidates a query; a smaller database is ranked whole.

    Raises:
        InputError: K out of range.
        DataError: Arrays that do not fit each other.
    """
    count = index.meta.count
    check_neighbour_count(K, count)
    if shortlist < K:
        raise InputError(
            f"knn.shortlist = {shortlist}: must be at least knn.K = {K}", "raise knn.shortlist"
        )
    units, database = unit_vectors(query_vectors), unit_vectors(database_vectors)
    check_size("rows of the query soft codes", len(units), "of the query codes", len(queries))
    check_size("rows of the database soft codes", len(database), "of the index", count)
    check_size(
        "columns of the query soft codes", units.shape[1], "of the database's", database.shape[1]
    )
    candidates = search_hamming(index, queries, min(shortlist, count)).rows
    return nearest_of_candidates(units, database, candidates, K)


def _furthest_distances(index: CodeIndex, queries: Codes, K: int) -> npt.NDArray[np.int32]:
    """Find the Hamming distance of the K-th neighbour of each query, int32 [Q]."""
    searcher = on_gpu(index) if K <= GPU_NEIGHBOURS else index.faiss_index
    distances: npt.NDArray[np.int32] = searcher.search(queries, K)[0][:, -1]
    return distances
