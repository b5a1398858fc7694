"""Tie-aware figures against the mean over every order of the tied items."""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product
from math import log2

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from siglip2_multimodal_hash.evaluation import tie_aware
from siglip2_multimodal_hash.evaluation.tie_aware import (
    TieGroups,
    expected_average_precision,
    expected_dcg,
    expected_normalised_average_precision,
    expected_precision_at,
    ideal_dcg,
)

# Each list: groups, nearest first, of the items' gains. An item is relevant if its gain is > 0.
LISTS: list[list[list[int]]] = [
    [[1], [0], [1]],
    [[1, 0]],
    [[0, 0, 1], [], [1, 1, 0, 0]],
    [[2, 0, 1, 0, 3]],
    [[], [0, 0], [1, 0, 2], [0, 1]],
    [[0, 0, 0], [1]],
    [[1, 1, 1], [1, 0]],
    [[0], [1, 0, 0, 0, 2, 0]],
]


def groups_of(lists: Sequence[list[list[int]]]) -> TieGroups:
    width = max(len(groups) for groups in lists)
    padded = [[*groups, *[[]] * (width - len(groups))] for groups in lists]
    return TieGroups(
        np.array([[len(group) for group in groups] for groups in padded]),
        np.array([[sum(gain > 0 for gain in group) for group in groups] for groups in padded]),
        np.array([[sum(group) for group in groups] for groups in padded]),
    )


def orders(groups: list[list[int]]) -> Iterator[list[int]]:
    """Every order of the gains that keeps nearer groups first."""
    for parts in product(*(permutations(group) for group in groups)):
        yield [gain for part in parts for gain in part]


def mean_over_orders(groups: list[list[int]], figure: Callable[[list[int]], float]) -> float:
    return float(np.mean([figure(order) for order in orders(groups)]))


def precision_sum(order: list[int]) -> float:
    hits = [gain > 0 for gain in order]
    return sum(sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit)


def plain_ap(order: list[int], cutoff: int) -> float:
    found = sum(gain > 0 for gain in order[:cutoff])
    return precision_sum(order[:cutoff]) / found if found else 0.0


def plain_dcg(order: list[int], cutoff: int) -> float:
    return sum(gain / log2(place + 2) for place, gain in enumerate(order[:cutoff]))


@pytest.mark.parametrize("cutoff", range(1, 9))
def test_every_figure_is_the_mean_over_all_orders(cutoff: int) -> None:
    groups = groups_of(LISTS)
    totals = groups.relevant.sum(axis=1)
    precision = expected_precision_at(groups, cutoff)
    ap = expected_average_precision(groups, cutoff)
    normalised = expected_normalised_average_precision(groups, totals, cutoff)
    dcg = expected_dcg(groups, cutoff)
    for row, one in enumerate(LISTS):
        best = min(cutoff, int(totals[row]))
        for found, figure in (
            (precision, lambda order: sum(gain > 0 for gain in order[:cutoff]) / cutoff),
            (ap, lambda order: plain_ap(order, cutoff)),
            (normalised, lambda order, best=best: precision_sum(order[:cutoff]) / best),
            (dcg, lambda order: plain_dcg(order, cutoff)),
        ):
            assert found[row] == pytest.approx(mean_over_orders(one, figure), abs=1e-12)


@given(
    lists=st.lists(
        st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=1, max_size=3),
        min_size=1,
        max_size=3,
    ),
    cutoff=st.integers(1, 13),
)
@settings(max_examples=60)
def test_average_precision_is_the_mean_over_all_orders(
    lists: list[list[list[int]]], cutoff: int
) -> None:
    found = expected_average_precision(groups_of(lists), cutoff)
    for row, groups in enumerate(lists):
        expected = mean_over_orders(groups, lambda order: plain_ap(order, cutoff))
        assert found[row] == pytest.approx(expected, abs=1e-12)


def test_golden() -> None:
    # One relevant item among two at the same distance: first (AP 1) or second (AP 1/2).
    pair = groups_of([[[1, 0]]])
    assert expected_average_precision(pair, 2)[0] == pytest.approx(0.75)
    # Within the first place: a hit (1) or none (0).
    assert expected_average_precision(pair, 1)[0] == pytest.approx(0.5)
    # Two of three, cut after two: orders 110, 101, 011 give 1, 1, 1/2.
    assert expected_average_precision(groups_of([[[1, 1, 0]]]), 2)[0] == pytest.approx(2.5 / 3)


def test_a_long_tied_list_agrees_with_a_sample_of_orders() -> None:
    generator = np.random.default_rng(0)
    sizes, relevant, cutoff = [40, 900, 60], [30, 250, 10], 300
    groups = TieGroups(np.array([sizes]), np.array([relevant]), np.array([relevant]))
    samples = []
    for _ in range(2000):
        hits = np.concatenate(
            [generator.permutation(np.arange(n) < r) for n, r in zip(sizes, relevant, strict=True)]
        )[:cutoff]
        precision = np.cumsum(hits) / np.arange(1, cutoff + 1)
        samples.append((precision * hits).sum() / hits.sum())
    error = np.std(samples) / np.sqrt(len(samples))
    assert expected_average_precision(groups, cutoff)[0] == pytest.approx(
        np.mean(samples), abs=4 * error
    )


def test_hypergeometric_weights_are_scipys() -> None:
    n, r, m = np.array([20, 50_000, 7]), np.array([6, 9_000, 7]), np.array([9, 800, 3])
    y, weights = tie_aware._hypergeometric(n, r, m)
    for row in range(3):
        expected = hypergeom(n[row], r[row], m[row]).pmf(y[row])
        assert np.allclose(weights[row], expected, rtol=0, atol=1e-12)


def test_blocks_of_lists_change_nothing() -> None:
    expected = expected_average_precision(groups_of(LISTS), 4)
    times = 2 * tie_aware.CUT_BLOCK // len(LISTS)
    found = expected_average_precision(groups_of(LISTS * times), 4)
    assert np.allclose(found, np.tile(expected, times), rtol=0, atol=1e-15)


def test_the_ideal_order_has_the_largest_gains_first() -> None:
    gain_counts: npt.NDArray[np.int64] = np.array([[3, 2, 1]])
    assert ideal_dcg(gain_counts, 2)[0] == pytest.approx(2 + 1 / np.log2(3))
    assert ideal_dcg(gain_counts, 100)[0] == pytest.approx(2 + 1 / np.log2(3) + 1 / 2)


def test_a_perfect_list_has_one() -> None:
    groups = groups_of([[[1, 1, 1], [0, 0]]])
    for cutoff in (1, 2, 3, 4, 5, 100):
        assert expected_average_precision(groups, cutoff)[0] == pytest.approx(1)
        totals = np.array([3])
        normalised = expected_normalised_average_precision(groups, totals, cutoff)
        assert normalised[0] == pytest.approx(1)
