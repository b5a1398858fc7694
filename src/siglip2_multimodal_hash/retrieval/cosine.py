"""The K nearest unit vectors that an index sees, ties by lowest row, whatever the kind of index.

FAISS sums float32 products in an order that depends on the batch, so its last digits decide
nothing here: it proposes candidates, down to below the K-th by twice the error that summation can
make, for :func:`~.neighbours.nearest_of_candidates` to rank.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Rows, Vectors
from siglip2_multimodal_hash.retrieval.faiss_indexes import centres_of, vectors_of
from siglip2_multimodal_hash.retrieval.neighbours import (
    COSINE_ELEMENTS,
    Neighbours,
    blocks,
    cosine_margin,
    nearest_of_candidates,
)

# (similarities float32 [Q, M], rows int64 [Q, M]) of the queries with these numbers, from FAISS.
Propose = Callable[[Rows, int], tuple[npt.NDArray[Any], Rows]]

# Spare candidates at first; more where near ties need them.
SPARE = 16


def nearest_in_vectors(index: Any, units: Vectors, database: Vectors, K: int) -> Neighbours:
    """The K nearest of all items.

    Args:
        index: ``IndexFlatIP`` of N items.
        units: Unit vectors, float32 [Q, D].
        database: Vectors of the index, float32 [N, D].
        K: From 1 to N.
    """
    return _nearest(lambda block, width: index.search(units[block], width), units, database, K)


def nearest_in_vector_clusters(index: Any, units: Vectors, database: Vectors, K: int) -> Neighbours:
    """The K nearest of the items in the clusters whose centres are nearest; ties by lowest cluster.

    Args:
        index: ``IndexIVFFlat`` of N items, by inner product.
        units: Unit vectors, float32 [Q, D].
        database: Vectors of the index, float32 [N, D].
        K: From 1 to N.
    """
    centres = centres_of(index)
    # By exact sums, because those of FAISS may choose other clusters in another batch.
    lists = nearest_in_vectors(centres, units, vectors_of(centres), index.nprobe).rows
    unused = np.zeros(lists.shape, dtype=np.float32)
    return _nearest(
        lambda block, width: index.search_preassigned(
            units[block], width, lists[block], unused[block]
        ),
        units,
        database,
        K,
    )


def nearest_in_vector_graph(
    index: Any, units: Vectors, database: Vectors, K: int, ef: int
) -> Neighbours:
    """The K nearest of the items that a walk over the graph ends with.

    Args:
        index: ``IndexHNSWFlat`` of N items, by inner product.
        units: Unit vectors, float32 [Q, D].
        database: Vectors of the index, float32 [N, D].
        K: From 1 to N.
        ef: Items that a walk ends with; at least K.
    """
    width = min(max(ef, K), len(database))
    candidates = np.empty((len(units), width), dtype=np.int64)
    for block in blocks(np.arange(len(units)), COSINE_ELEMENTS // width):
        candidates[block] = index.search(units[block], width)[1]
    return nearest_of_candidates(units, database, candidates, K)


def _nearest(propose: Propose, units: Vectors, database: Vectors, K: int) -> Neighbours:
    """The K nearest of what FAISS can propose, which is asked for more until near ties are in."""
    count, dim = database.shape
    margin = cosine_margin(dim)
    rows = np.empty((len(units), K), dtype=np.int64)
    similarities = np.empty((len(units), K), dtype=np.float32)
    pending, width = np.arange(len(units)), min(count, K + SPARE)
    while pending.size:
        unresolved = []
        for block in blocks(pending, COSINE_ELEMENTS // width):
            approximate, candidates = propose(block, width)
            complete = approximate[:, -1] < approximate[:, K - 1] - margin
            complete |= candidates[:, -1] < 0
            complete |= width == count
            done = block[complete]
            rows[done], similarities[done] = nearest_of_candidates(
                units[done], database, candidates[complete], K
            )
            unresolved.append(block[~complete])
        pending, width = np.concatenate(unresolved), min(count, width * 4)
    return Neighbours(rows, similarities)
