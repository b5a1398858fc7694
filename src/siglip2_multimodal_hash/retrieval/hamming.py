"""The K nearest codes that an index sees, ties by lowest row, whatever the kind of index.

FAISS finds the distance of the K-th neighbour, but which of the items at exactly that distance it
returns is not documented, and in Hamming space hundreds of items share a distance. So every item up
to that distance is asked for, of which the K with the least (distance, row) are kept. What is kept
is a function of what the index looks at, and that of the query alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Codes, Rows
from siglip2_multimodal_hash.retrieval.faiss_indexes import centres_of
from siglip2_multimodal_hash.retrieval.groups import Groups
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW, blocks

Distances = npt.NDArray[np.int64]
# (distances int32 [Q, K], rows int64 [Q, K]) of the queries with these numbers, as FAISS gives it.
Nearest = Callable[[Rows, int], tuple[npt.NDArray[Any], Rows]]
# (limits, distances, rows) of the items nearer than a radius, as FAISS gives it.
Within = Callable[[Rows, int], tuple[Rows, npt.NDArray[Any], Rows]]

# Items that a range search may return at a time, if all codes are equal: some 0.3 GB.
RANGE_ITEMS = 20_000_000
# Items of an expanded graph search at a time.
GROUP_ITEMS = 4_000_000
# Spare neighbours that the first pass asks for, as a multiple of K: more than ties mostly need.
SPARE = 2


def nearest_in_flat(
    index: Any, queries: Codes, K: int, searcher: Any = None
) -> tuple[Distances, Rows]:
    """The K nearest of all items.

    Args:
        index: ``IndexBinaryFlat`` of N items.
        queries: uint8 [Q, bits / 8].
        K: From 1 to N.
        searcher: Index that finds the distance of the K-th; None: ``index`` itself.

    Returns:
        Distances and rows, int64 [Q, K].
    """
    furthest = (index if searcher is None else searcher).search(queries, K)[0][:, -1]
    keys = np.empty((len(queries), K), dtype=np.int64)
    _up_to(
        keys,
        np.arange(len(queries)),
        furthest,
        lambda block, radius: index.range_search(queries[block], radius),
        index.ntotal,
    )
    return keys // index.ntotal, keys % index.ntotal


def nearest_in_clusters(index: Any, queries: Codes, K: int) -> tuple[Distances, Rows]:
    """The K nearest of the items in the clusters whose centres are nearest; ties by lowest cluster.

    Args:
        index: ``IndexBinaryIVF`` of N items.
        queries: uint8 [Q, bits / 8].
        K: From 1 to N.

    Returns:
        As :func:`nearest_in_flat`; where the clusters hold fewer than K items, the rest has row -1.
    """
    # Here and not by FAISS, which would choose among equally near centres as it likes.
    distances, lists = nearest_in_flat(centres_of(index), queries, index.nprobe)

    def nearest(block: Rows, width: int) -> tuple[npt.NDArray[Any], Rows]:
        found: tuple[npt.NDArray[Any], Rows] = index.search_preassigned(
            queries[block], width, lists[block], distances[block]
        )
        return found

    def within(block: Rows, radius: int) -> tuple[Rows, npt.NDArray[Any], Rows]:
        found: tuple[Rows, npt.NDArray[Any], Rows] = index.range_search_preassigned(
            queries[block], radius, lists[block], distances[block]
        )
        return found

    return _nearest_seen(nearest, within, len(queries), K, index.ntotal)


def nearest_in_tables(index: Any, queries: Codes, K: int) -> tuple[Distances, Rows]:
    """The K nearest of the items that share a piece of the code, up to some flipped bits.

    Args:
        index: ``IndexBinaryMultiHash`` of N items.
        queries: uint8 [Q, bits / 8].
        K: From 1 to N.

    Returns:
        As :func:`nearest_in_clusters`.
    """
    return _nearest_seen(
        lambda block, width: index.search(queries[block], width),
        lambda block, radius: index.range_search(queries[block], radius),
        len(queries),
        K,
        index.ntotal,
    )


def nearest_in_graph(
    index: Any, queries: Codes, K: int, ef: int, groups: Groups
) -> tuple[Distances, Rows]:
    """The K nearest of the items whose codes a walk over the graph ends with.

    Args:
        index: ``IndexBinaryHNSW`` of the codes of ``groups``.
        queries: uint8 [Q, bits / 8].
        K: From 1 to N.
        ef: Codes that a walk ends with; at least K.
        groups: Of the N items.

    Returns:
        As :func:`nearest_in_clusters`.
    """
    count, ef = len(groups.rows), min(max(ef, K), index.ntotal)
    keys = np.full((len(queries), K), NO_ROW, dtype=np.int64)
    for block in blocks(np.arange(len(queries)), GROUP_ITEMS // (ef * K)):
        distances, codes = index.search(queries[block], ef)
        query, place = np.nonzero(codes >= 0)
        which, rows = groups.members(codes[query, place], K)
        found = distances[query, place][which].astype(np.int64) * count + rows
        _keep_least(keys, block[query[which]], found)
    return _split(keys, count)


def _nearest_seen(
    nearest: Nearest, within: Within, queries: int, K: int, count: int
) -> tuple[Distances, Rows]:
    """The K least (distance, row) of what an index looks at; row -1 where it sees fewer."""
    keys = np.full((queries, K), NO_ROW, dtype=np.int64)
    width = min(count, SPARE * K + 1)
    everyone = np.arange(queries)
    distances, rows = nearest(everyone, width)
    found = np.where(rows < 0, np.iinfo(np.int64).max, distances.astype(np.int64) * count + rows)
    # All that could tie with the K-th is here if the last is further, or if there was no more.
    whole = (distances[:, -1] > distances[:, K - 1]) | (rows[:, -1] < 0) | (width == count)
    least = np.sort(found[whole], axis=1)[:, :K]
    keys[whole] = np.where(least == np.iinfo(np.int64).max, NO_ROW, least)
    _up_to(keys, everyone[~whole], distances[~whole, K - 1], within, count)
    return _split(keys, count)


def _up_to(
    keys: npt.NDArray[np.int64],
    queries: Rows,
    furthest: npt.NDArray[Any],
    within: Within,
    count: int,
) -> None:
    """Fill in the K least keys of queries with at least K items up to the distance ``furthest``.

    One integer holds (distance, row), so that one sort orders by both.
    """
    K = keys.shape[1]
    for distance in np.unique(furthest):
        for block in blocks(queries[furthest == distance], RANGE_ITEMS // count):
            # FAISS keeps what is strictly nearer than the radius.
            limits, distances, rows = within(block, int(distance) + 1)
            found = distances.astype(np.int64) * count + rows
            for position, query in enumerate(block):
                items = found[int(limits[position]) : int(limits[position + 1])]
                keys[query] = np.sort(np.partition(items, K - 1)[:K])


def _keep_least(keys: npt.NDArray[np.int64], queries: Rows, found: npt.NDArray[np.int64]) -> None:
    """Fill in the K least keys of each query of which there are some in ``found``."""
    order = np.lexsort((found, queries))
    queries, found = queries[order], found[order]
    ranks = np.arange(len(queries)) - np.searchsorted(queries, queries)
    kept = ranks < keys.shape[1]
    keys[queries[kept], ranks[kept]] = found[kept]


def _split(keys: npt.NDArray[np.int64], count: int) -> tuple[Distances, Rows]:
    """Distances and rows of keys; both -1 where there is none."""
    missing = keys == NO_ROW
    return np.where(missing, -1, keys // count), np.where(missing, NO_ROW, keys % count)
