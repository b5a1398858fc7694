"""Retrieval reduced to counts: for each query, how many items, relevant items and shared labels
lie at each distance.

Two items are relevant to each other if they share at least one label; the gain is the number of
labels that they share. One pass over query x database, one query at a time, so that memory is O(N)
beside the counts and the arrays of a query stay in the CPU's cache.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Counts, check_codes, check_labels, check_size
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.tie_aware import TieGroups
from siglip2_multimodal_hash.kernels import usable_cores
from siglip2_multimodal_hash.retrieval.codes import Words, as_words, distances_to_all

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class LabelWords:
    """The labels of queries and database, packed so that a popcount counts shared labels.

    Attributes:
        queries: uint64 [W, Q].
        database: uint64 [W, N].
        levels: One more than the most labels that a query can share with an item.
    """

    queries: Words
    database: Words
    levels: int

    def shared(self, query: int) -> npt.NDArray[np.uint16]:
        """Labels that one query shares with each item, uint16 [N]."""
        mask = self.queries[:, query]
        total: npt.NDArray[np.uint16]
        total = np.bitwise_count(self.database[0] & mask[0]).astype(np.uint16)
        for word, bits in zip(self.database[1:], mask[1:], strict=True):
            total += np.bitwise_count(word & bits)
        return total


def pack_labels(query_labels: npt.NDArray[Any], database_labels: npt.NDArray[Any]) -> LabelWords:
    """Check and pack multi-hot labels.

    Args:
        query_labels: uint8 [Q, C].
        database_labels: uint8 [N, C].

    Raises:
        DataError: Labels other than 0 and 1, another number of classes, or no row.
    """
    queries = check_labels("query labels", query_labels)
    database = check_labels("database labels", database_labels)
    check_size(
        "classes of the query labels", queries.shape[1], "of the database's", database.shape[1]
    )
    for name, labels in (("query labels", queries), ("database labels", database)):
        if len(labels) == 0:
            raise DataError(f"{name}: no row", "give the split more images")
    return LabelWords(
        as_words(np.packbits(queries, axis=1)),
        as_words(np.packbits(database, axis=1)),
        int(queries.sum(axis=1, dtype=np.int64).max()) + 1,
    )


def relevant_totals(query_labels: npt.NDArray[Any], database_labels: npt.NDArray[Any]) -> Counts:
    """Relevant items in the database for each query, int64 [Q].

    Raises:
        DataError: See :func:`pack_labels`.
    """
    labels = pack_labels(query_labels, database_labels)
    totals = in_threads(
        lambda query: np.count_nonzero(labels.shared(query)), range(len(query_labels))
    )
    return np.array(totals, dtype=np.int64)


def hamming_groups(
    query_codes: npt.NDArray[Any],
    database_codes: npt.NDArray[Any],
    query_labels: npt.NDArray[Any],
    database_labels: npt.NDArray[Any],
) -> tuple[TieGroups, Counts]:
    """Group the database by Hamming distance from each query.

    Args:
        query_codes: uint8 [Q, bits / 8].
        database_codes: uint8 [N, bits / 8].
        query_labels: uint8 [Q, C].
        database_labels: uint8 [N, C].

    Returns:
        Groups [Q, bits + 1], column = distance; and the number of items by gain, int64 [Q, S + 1].

    Raises:
        DataError: Arrays that do not fit each other.
    """
    queries = check_codes("query codes", query_codes)
    database = check_codes("database codes", database_codes)
    bits = queries.shape[1] * 8
    check_size("bits of the query codes", bits, "of the database codes", database.shape[1] * 8)
    check_size("rows of the query codes", len(queries), "of the query labels", len(query_labels))
    check_size(
        "rows of the database codes", len(database), "of the database labels", len(database_labels)
    )
    labels = pack_labels(query_labels, database_labels)
    query_words, database_words = as_words(queries), as_words(database)

    def count(query: int) -> Counts:
        """Items by distance and gain, int64 [bits + 1, S + 1]."""
        cells = distances_to_all(query_words[:, query], database_words).astype(np.intp)
        cells *= labels.levels
        cells += labels.shared(query)
        size = (bits + 1) * labels.levels
        return np.bincount(cells, minlength=size).reshape(bits + 1, labels.levels)

    joint = np.stack(in_threads(count, range(len(queries))))
    groups = TieGroups(
        counts=joint.sum(axis=2),
        relevant=joint[:, :, 1:].sum(axis=2),
        gains=joint @ np.arange(labels.levels),
    )
    return groups, joint.sum(axis=1)


def in_threads(task: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``[task(item) for item in items]`` in threads; NumPy works in parallel outside the GIL.

    A task knows nothing of the others, so the result does not depend on the number of threads.
    """
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(task, items))
