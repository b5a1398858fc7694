"""Items that share a code: the graph of an HNSW index holds each code once.

Many items of a database may have one code, and equal items that are linked to each other alone cut
a graph in islands that no walk reaches.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from siglip2_multimodal_hash.arrays import Codes, Rows
from siglip2_multimodal_hash.retrieval.codes import as_words


@dataclass(frozen=True, eq=False)
class Groups:
    """N items in U groups of one code each, numbered by their first row.

    Attributes:
        rows: The items, group after group, within a group in ascending order; int64 [N].
        starts: Begin of each group in ``rows``, and N; int64 [U + 1].
    """

    rows: Rows
    starts: Rows

    @classmethod
    def of(cls, codes: Codes) -> Self:
        """Group codes, uint8 [N, bits / 8]."""
        words = as_words(codes)
        # Stable, so within a group the rows ascend.
        order = np.lexsort(words).astype(np.int64)
        changes = np.ones(len(order), dtype=bool)
        changes[1:] = (words[:, order[1:]] != words[:, order[:-1]]).any(axis=0)
        begins = np.flatnonzero(changes)
        sizes = np.diff(np.append(begins, len(order)))
        by_first = np.argsort(order[begins])
        starts = np.concatenate([[0], np.cumsum(sizes[by_first])]).astype(np.int64)
        rows = order[_ranges(begins[by_first], sizes[by_first])]
        return cls(rows, starts)

    def first_rows(self) -> Rows:
        """One item of each group, int64 [U], ascending."""
        return self.rows[self.starts[:-1]]

    def members(self, groups: Rows, most: int) -> tuple[Rows, Rows]:
        """The items of some groups.

        Args:
            groups: int64 [M].
            most: Of a group, at most so many, the first ones.

        Returns:
            The places in ``groups``, and the rows, both int64 and of one length.
        """
        begins = self.starts[groups]
        sizes = np.minimum(self.starts[groups + 1] - begins, most)
        return np.repeat(np.arange(len(groups)), sizes), self.rows[_ranges(begins, sizes)]


def _ranges(begins: Rows, sizes: Rows) -> Rows:
    """The numbers begins[i] to begins[i] + sizes[i] - 1 of every i, one after the other."""
    before = np.cumsum(sizes) - sizes
    ranges: Rows = np.arange(int(sizes.sum())) + np.repeat(begins - before, sizes)
    return ranges
