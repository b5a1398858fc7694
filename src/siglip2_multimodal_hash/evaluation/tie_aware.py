"""Ranking figures of lists with ties, as the expectation over random orders within each tie.

McSherry and Najork, Computing Information Retrieval Performance Measures Efficiently in the
Presence of Tied Scores, ECIR 2008; used for Hamming distances by He et al., CVPR 2018. With 65
distances for 100,000 items nearly every item is tied, and the order in which a database happens to
be stored would decide the figure otherwise.

A list is described by its groups of equally distant items, nearest first. For group g: n items, of
which r are relevant; b items and p relevant ones in nearer groups; m items before the cutoff, which
is n unless the cutoff falls within the group. Groups may be empty. An item at place i of the group
is relevant with probability r / n, and then (i - 1)(r - 1) / (n - 1) of those before it in the
group are expected to be.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Counts, Floats, ratio

# Queries whose hypergeometric weights are held at a time: some 25 MB an array at a cutoff of 5,000.
CUT_BLOCK = 1024
# Weights further from the mean than this many sqrt(m) sum to less than 1e-18 (Hoeffding, 1963).
TAIL = 4.6


@dataclass(frozen=True, eq=False)
class TieGroups:
    """The groups of Q lists, nearest first; int64 [Q, G] each.

    Attributes:
        counts: Items (n).
        relevant: Relevant items (r).
        gains: Sum of the items' gains.
    """

    counts: Counts
    relevant: Counts
    gains: Counts

    @cached_property
    def before(self) -> Counts:
        """Items in nearer groups (b)."""
        return np.cumsum(self.counts, axis=1) - self.counts

    @cached_property
    def relevant_before(self) -> Counts:
        """Relevant items in nearer groups (p)."""
        return np.cumsum(self.relevant, axis=1) - self.relevant

    @cached_property
    def precision_sums(self) -> Floats:
        """Sum of the expected precision at the relevant items of each group; float64 [Q, G].

        See :func:`_precision_sums`. Most groups of a list of vectors are of one item, and most
        items irrelevant: computed once for every cutoff, and where there is something to sum.
        """
        some = np.flatnonzero(self.relevant)
        n, r, b, p = (
            of.ravel()[some]
            for of in (self.counts, self.relevant, self.before, self.relevant_before)
        )
        sums = np.zeros(self.counts.shape)
        sums.ravel()[some] = _precision_sums(n, r, b, p, n)
        return sums

    def reach(self, cutoff: int) -> int:
        """The number of groups that hold the first ``cutoff`` places of every list."""
        return max(1, int(np.count_nonzero((self.before < cutoff).any(axis=0))))

    def taken(self, cutoff: int) -> Counts:
        """Items before the cutoff (m) in the groups that it reaches."""
        reach = self.reach(cutoff)
        return np.clip(cutoff - self.before[:, :reach], 0, self.counts[:, :reach])

    def parts(self, cutoff: int) -> tuple[npt.NDArray[np.bool_], Counts]:
        """The groups before the cutoff and those in which it falls.

        Returns:
            A mask of the groups that it reaches, bool [Q, G']; list and group of the others,
            int64 [L, 2], at most one per list.
        """
        reach = self.reach(cutoff)
        before = self.before[:, :reach]
        whole = before + self.counts[:, :reach] <= cutoff
        return whole, np.argwhere((before < cutoff) & ~whole)


def expected_precision_at(groups: TieGroups, cutoff: int) -> Floats:
    """P@N: relevant items among the first N, over N; float64 [Q].

    A list shorter than N is filled up with irrelevant items, as trec_eval does.
    """
    taken = groups.taken(cutoff)
    reach = taken.shape[1]
    shares = ratio(groups.relevant[:, :reach], groups.counts[:, :reach])
    hits: Floats = (taken * shares).sum(axis=1)
    return hits / cutoff


def expected_average_precision(groups: TieGroups, cutoff: int) -> Floats:
    """mAP@R of the deep-hashing literature: the exact expectation of AP; float64 [Q].

    AP@R = (sum of the precision at each relevant item among the first R) / (number of relevant
    items among the first R), and 0 where there is none. When the cutoff falls within a group the
    divisor is random too: the number Y of relevant items among the group's m first is
    hypergeometric. Given Y = y, the m places hold y relevant items in random order, so

        E[AP@R] = sum over y of P(Y = y) * (A + S(y)) / (p + y)

    with A the expected sum of the nearer groups, which is independent of Y, and S(y) that of a
    group of m items of which y are relevant.
    """
    whole, cut = groups.parts(cutoff)
    reach = whole.shape[1]
    sums = np.where(whole, groups.precision_sums[:, :reach], 0).sum(axis=1)
    found = np.where(whole, groups.relevant[:, :reach], 0).sum(axis=1)
    result = ratio(sums, found)
    for start in range(0, len(cut), CUT_BLOCK):
        lists, group = cut[start : start + CUT_BLOCK].T
        before = groups.before[lists, group]
        result[lists] = _cut_expectation(
            sums[lists],
            p=groups.relevant_before[lists, group],
            b=before,
            n=groups.counts[lists, group],
            r=groups.relevant[lists, group],
            m=cutoff - before,
        )
    return result


def expected_normalised_average_precision(groups: TieGroups, totals: Counts, cutoff: int) -> Floats:
    """mAP@R (recall-normalised): the divisor is min(R, all relevant items); float64 [Q].

    The most relevant items that R places can hold, so that a perfect list has 1 and a list that
    finds one item of many has little.

    Args:
        groups: The groups of Q lists.
        totals: Relevant items in the whole database, int64 [Q].
        cutoff: R.
    """
    whole, cut = groups.parts(cutoff)
    sums = np.where(whole, groups.precision_sums[:, : whole.shape[1]], 0)
    at = tuple(cut.T)
    n, r, b, p = (
        of[at] for of in (groups.counts, groups.relevant, groups.before, groups.relevant_before)
    )
    sums[at] = _precision_sums(n, r, b, p, cutoff - b)
    return ratio(sums.sum(axis=1), np.minimum(totals, cutoff))


def expected_dcg(groups: TieGroups, cutoff: int) -> Floats:
    """DCG@k = sum over the first k places i of gain / log2(i + 1), in expectation; float64 [Q]."""
    taken = groups.taken(cutoff)
    reach = taken.shape[1]
    discounts = _discount_sums(cutoff)
    start = np.minimum(groups.before[:, :reach], cutoff)
    weights = discounts[start + taken] - discounts[start]
    sums: Floats = (ratio(groups.gains[:, :reach], groups.counts[:, :reach]) * weights).sum(axis=1)
    return sums


def ideal_dcg(gain_counts: Counts, cutoff: int) -> Floats:
    """DCG@k of the best order; float64 [Q].

    Args:
        gain_counts: Items with a gain of 0, 1, ..., S; int64 [Q, S + 1].
        cutoff: k.
    """
    falling = gain_counts[:, ::-1]
    gains = falling * np.arange(gain_counts.shape[1])[::-1]
    return expected_dcg(TieGroups(falling, gains, gains), cutoff)


def _precision_sums(n: Counts, r: Counts, b: Counts, p: Counts, m: Counts) -> Floats:
    """Sum the expected precision at the relevant items before the cutoff in L groups; float64 [L].

    (r / n) * sum over i = 1..m of (p + 1 + (i - 1)(r - 1) / (n - 1)) / (b + i), where the sum over
    1 / (b + i) is a difference of harmonic numbers and (i - 1) / (b + i) = 1 - (b + 1) / (b + i).
    """
    harmonic = _harmonic(int((b + m).max(initial=0)))
    inverse = harmonic[b + m] - harmonic[b]
    slope = ratio(r - 1, n - 1)
    sums: Floats = r / n * ((p + 1) * inverse + slope * (m - (b + 1) * inverse))
    return sums


def _cut_expectation(
    sums: Floats, *, p: Counts, b: Counts, n: Counts, r: Counts, m: Counts
) -> Floats:
    """E[(sums + S(Y)) / (p + Y)] with 0 for p + Y = 0, for L lists; float64 [L]."""
    harmonic = _harmonic(int((b + m).max()))
    inverse = harmonic[b + m] - harmonic[b]
    # S(y) = y * first + y (y - 1) * second.
    first = (p + 1) * inverse / m
    second = ratio(m - (b + 1) * inverse, m * (m - 1))
    y, weights = _hypergeometric(n, r, m)
    expected = sums[:, None] + y * (first[:, None] + (y - 1) * second[:, None])
    values: Floats = (weights * ratio(expected, p[:, None] + y)).sum(axis=1)
    return values


def _hypergeometric(n: Counts, r: Counts, m: Counts) -> tuple[Counts, Floats]:
    """Chances of y relevant items among m of n items of which r are relevant.

    Returns:
        y, int64 [L, W], and P(Y = y), float64 [L, W]; columns beyond the support have weight 0.
    """
    mean, spread = m * r / n, TAIL * np.sqrt(m) + 1
    low = np.maximum(np.maximum(0, m - (n - r)), np.floor(mean - spread)).astype(np.int64)
    high = np.minimum(np.minimum(m, r), np.ceil(mean + spread)).astype(np.int64)
    y = low[:, None] + np.arange(int((high - low).max()) + 1)
    valid = y <= high[:, None]
    # P(y + 1) / P(y) = (r - y)(m - y) / ((y + 1)(n - r - m + y + 1)): logarithms of small ratios
    # keep more digits than differences of log factorials.
    n, r, m = n[:, None], r[:, None], m[:, None]
    z = y[:, :-1]
    factor = ratio((r - z) * (m - z), (z + 1) * (n - r - m + z + 1))
    steps = np.log(factor, out=np.zeros_like(factor), where=valid[:, 1:])
    logs = np.zeros(y.shape)
    np.cumsum(steps, axis=1, out=logs[:, 1:])
    logs[~valid] = -np.inf
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return y, weights / weights.sum(axis=1, keepdims=True)


@lru_cache(maxsize=4)
def _harmonic_table(size: int) -> Floats:
    return np.concatenate(([0.0], np.cumsum(1 / np.arange(1, size + 1))))


def _harmonic(count: int) -> Floats:
    """H(0), ..., H(count), and more: a table serves all lists of about its length."""
    return _harmonic_table(1 << count.bit_length())


@lru_cache(maxsize=4)
def _discount_sums(cutoff: int) -> Floats:
    """Tabulate the sums of the first 0, ..., cutoff discounts 1 / log2(i + 1)."""
    return np.concatenate(([0.0], np.cumsum(1 / np.log2(np.arange(2, cutoff + 2)))))
