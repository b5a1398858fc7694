"""Nearest neighbours; among equally near items the one with the lowest row comes first.

A flat index gives the exact ones. The other kinds (see :mod:`.index_kinds`) give the nearest of the
items that they look at, and fewer than K where those are fewer. In every case the neighbours depend
on neither batch size, threads nor device.
"""

import logging
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Vectors, check_codes, check_size
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import (
    Distance,
    Hnsw,
    Ivf,
    Multihash,
    check_distance,
    check_neighbour_count,
    check_shortlist,
)
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.cosine import (
    nearest_in_vector_clusters,
    nearest_in_vector_graph,
    nearest_in_vectors,
)
from siglip2_multimodal_hash.retrieval.hamming import (
    nearest_in_clusters,
    nearest_in_flat,
    nearest_in_graph,
    nearest_in_tables,
)
from siglip2_multimodal_hash.retrieval.index import CodeIndex, build_index, on_gpu, unit_view
from siglip2_multimodal_hash.retrieval.neighbours import (
    NO_ROW,
    Neighbours,
    SoftAndPacked,
    nearest_of_candidates,
)
from siglip2_multimodal_hash.retrieval.whitening import signs_of, whitened, whitening_of

logger = logging.getLogger(__name__)

# FAISS on a GPU selects at most this many.
GPU_NEIGHBOURS = 1024


def find_neighbours(
    index: CodeIndex,
    queries: SoftAndPacked,
    database: SoftAndPacked,
    *,
    distance: Distance,
    K: int,
    shortlist: int,
) -> Neighbours:
    """Search by the distance that ``knn.distance`` names.

    Args:
        index: Over ``database.packed``, or over ``database.soft`` where ``hash.bits`` is 0. Its
            kind is that of the searches by vectors, too, which index the soft codes or the signs by
            themselves.
        queries: Q items.
        database: N items, in the row order of ``index``.
        distance: ``hamming``, ``cosine`` (of the soft codes), ``hybrid``, ``asymmetric``
            or ``whitened``.
        K: ``knn.K``.
        shortlist: ``knn.shortlist``, for ``hybrid``.

    Raises:
        InputError: K is more than N, or the distance needs codes and there are none.
        DataError: Arrays that do not fit each other.
    """
    check_distance(distance, 0 if queries.packed is None else index.meta.bits)
    if distance == "cosine":
        if index.meta.bits:
            index = build_index(unit_vectors(database.soft), index.kind)
        found = search_cosine(index, queries.soft, K)
    elif distance == "asymmetric":
        found = search_asymmetric(index, queries.soft, database, K)
    elif distance == "whitened":
        found = search_whitened(index, queries.soft, database, K)
    else:
        assert queries.packed is not None
        if distance == "hamming":
            found = search_hamming(index, queries.packed, K)
        else:
            found = search_hybrid(
                index, queries.packed, queries.soft, database.soft, K=K, shortlist=shortlist
            )
    _log_missing(found, index.meta.kind)
    return found


def search_hamming(index: CodeIndex, queries: npt.NDArray[Any], K: int) -> Neighbours:
    """Find the K nearest by Hamming distance that the index sees, ties by lowest row.

    See :mod:`.hamming` for how, and :mod:`.index_kinds` for what an index sees.

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
    check_neighbour_count(K, index.meta.count)
    inner, kind = index.faiss_index, index.kind
    if not len(queries):
        distances, rows = np.empty((2, 0, K), dtype=np.int64)
    elif isinstance(kind, Ivf):
        distances, rows = nearest_in_clusters(inner, queries, K)
    elif isinstance(kind, Multihash):
        distances, rows = nearest_in_tables(inner, queries, K)
    elif isinstance(kind, Hnsw) and index.groups is not None:
        distances, rows = nearest_in_graph(inner, queries, K, kind.ef_search, index.groups)
    else:
        searcher = on_gpu(index) if K <= GPU_NEIGHBOURS else inner
        distances, rows = nearest_in_flat(inner, queries, K, searcher)
    similarities = np.where(rows == NO_ROW, 0, 1 - distances / index.meta.bits)
    return Neighbours(rows, similarities.astype(np.float32))


def search_cosine(index: CodeIndex, queries: npt.NDArray[Any], K: int) -> Neighbours:
    """Find the K nearest by cosine that the index sees, ties by lowest row; see :mod:`.cosine`.

    Args:
        index: Over N unit vectors.
        queries: float [Q, D], of any length.
        K: From 1 to N.

    Raises:
        InputError: K out of range.
        DataError: Not finite vectors, or of another dimension than the index's.
    """
    units, database = unit_vectors(queries), unit_view(index)
    dim, count, inner, kind = index.meta.dim, index.meta.count, index.faiss_index, index.kind
    check_size("dimensions of the query vectors", units.shape[1], "of the index", dim)
    check_neighbour_count(K, count)
    if isinstance(kind, Ivf):
        return nearest_in_vector_clusters(inner, units, database, K)
    if isinstance(kind, Hnsw):
        return nearest_in_vector_graph(inner, units, database, K, kind.ef_search)
    return nearest_in_vectors(inner, units, database, K)


def search_asymmetric(
    index: CodeIndex, queries: npt.NDArray[Any], database: SoftAndPacked, K: int
) -> Neighbours:
    """Find the K nearest by the cosine of a query's soft code with an item's bits as -1 and +1.

    Only what is stored for an item need be short: a query's code is at hand unrounded, and how sure
    it is of each bit weighs here (asymmetric distance; Gordo, Perronnin, Gong and Lazebnik, PAMI
    2014). The bits are widened to float32 while they are searched.

    Args:
        index: Over the N packed codes; its kind is that of the search.
        queries: Soft codes, float [Q, bits].
        database: Of N items, in the row order of ``index``.
        K: From 1 to N.

    Raises:
        InputError: K out of range.
        DataError: Arrays that do not fit each other, or an item without a packed code.
    """
    units = unit_vectors(_signs(index, database))
    return search_cosine(build_index(units, index.kind), queries, K)


def search_whitened(
    index: CodeIndex, queries: npt.NDArray[Any], database: SoftAndPacked, K: int
) -> Neighbours:
    """Find the K nearest as :func:`search_asymmetric` does, by the cosine after whitening.

    See :mod:`.whitening`; arguments, result and errors are those of :func:`search_asymmetric`.
    """
    signs = _signs(index, database)
    whitening = whitening_of(signs)
    units = whitened(signs, whitening)
    return search_cosine(build_index(units, index.kind), whitened(queries, whitening), K)


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
        shortlist: Candidates per query; a smaller database is ranked whole.

    Raises:
        InputError: K out of range.
        DataError: Arrays that do not fit each other.
    """
    count = index.meta.count
    check_neighbour_count(K, count)
    check_shortlist(shortlist, K)
    units, database = unit_vectors(query_vectors), unit_vectors(database_vectors)
    check_size("rows of the query soft codes", len(units), "of the query codes", len(queries))
    check_size("rows of the database soft codes", len(database), "of the index", count)
    check_size(
        "columns of the query soft codes", units.shape[1], "of the database's", database.shape[1]
    )
    candidates = search_hamming(index, queries, min(shortlist, count)).rows
    return nearest_of_candidates(units, database, candidates, K)


def _signs(index: CodeIndex, database: SoftAndPacked) -> Vectors:
    """The bits of the items as -1 and +1, float32 [N, bits]."""
    if database.packed is None:
        raise DataError("the database has no packed codes", "run `dvc repro extract_hashes`")
    return signs_of(database.packed, index.meta.bits)


def _log_missing(found: Neighbours, kind: str) -> None:
    """Say for how many queries the index saw fewer than K items."""
    short = (found.rows == NO_ROW).any(axis=1)
    if short.any():
        logger.warning(
            "index.kind = %s: %d of %d queries found fewer than K = %d neighbours, %d none; those "
            "that are missing have no vote",
            kind,
            int(short.sum()),
            *found.rows.shape,
            int((found.rows == NO_ROW).all(axis=1).sum()),
        )
