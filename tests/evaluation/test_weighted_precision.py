"""Figures of weighted images: those of repeated rows, and scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import average_precisions
from siglip2_multimodal_hash.evaluation.decisions import at_threshold
from siglip2_multimodal_hash.evaluation.weighted_precision import (
    WeightedDecisions,
    WeightedPrecision,
)


def test_by_hand() -> None:
    # By falling score: hit (weight 1), miss (2), then a tie of hit (3) and miss (4).
    scores = np.array([[0.9], [0.8], [0.5], [0.5]])
    labels = np.array([[1], [0], [1], [0]], dtype=np.uint8)
    found = WeightedPrecision(scores, labels)(np.array([1, 2, 3, 4]))
    # The first is admitted at precision 1/1, the tie at 4/10: (1 * 1 + 3 * 0.4) / 4.
    assert found.tolist() == [pytest.approx(0.55)]


@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("whole", [True, False])
def test_is_that_of_scikit_learn(decimals: int, whole: bool) -> None:
    generator = np.random.default_rng(decimals)
    for count in (3, 40, 200):
        labels = (generator.random((count, 6)) < 0.3).astype(np.uint8)
        labels[0], labels[:, 5] = [1, 1, 1, 1, 0, 0], 0
        scores = np.round(generator.random((count, 6)), decimals)
        weights = generator.integers(1, 4, count) if whole else 0.1 + generator.random(count)
        # Images that a draw left out count nothing; the first one keeps every class alive.
        weights[1:][generator.random(count - 1) < 0.3] = 0
        found = WeightedPrecision(scores, labels)(weights)
        for column in range(6):
            if (weights * labels[:, column]).sum() == 0:
                assert np.isnan(found[column])
                continue
            expected = average_precision_score(
                labels[:, column], scores[:, column], sample_weight=weights
            )
            assert found[column] == pytest.approx(expected, abs=1e-9)


def test_of_equal_weights_is_the_plain_one_and_of_counts_that_of_repeated_rows() -> None:
    generator = np.random.default_rng(1)
    labels = (generator.random((50, 4)) < 0.3).astype(np.uint8)
    scores = np.round(generator.random((50, 4)), 1).astype(np.float32)
    weighted = WeightedPrecision(scores, labels)
    expected = average_precisions(scores, labels)
    np.testing.assert_allclose(weighted(np.ones(50, dtype=np.int64)), expected, atol=1e-12)
    counts = generator.integers(0, 3, 50)
    rows = np.repeat(np.arange(50), counts)
    repeated = average_precisions(scores[rows], labels[rows])
    np.testing.assert_allclose(weighted(counts), repeated, atol=1e-12)


def test_decisions_are_those_of_repeated_rows() -> None:
    generator = np.random.default_rng(2)
    labels = (generator.random((30, 3)) < 0.4).astype(np.uint8)
    scores = generator.random((30, 3))
    counts = generator.integers(0, 3, 30)
    rows = np.repeat(np.arange(30), counts)
    expected = at_threshold(scores[rows], labels[rows], 0.5)
    found = WeightedDecisions(scores, labels, 0.5)(counts)
    assert found.hits.tolist() == expected.hits.tolist()
    assert found.decided.tolist() == expected.decided.tolist()
    assert found.positives.tolist() == expected.positives.tolist()


def test_nothing_decided_is_no_hit_of_any_class() -> None:
    labels = np.array([[1, 0], [0, 1]], dtype=np.uint8)
    found = WeightedDecisions(np.zeros((2, 2)), labels, 0.5)(np.array([1, 2]))
    assert found.figures()["CF1"] == 0
    assert found.positives.tolist() == [1, 2]


def test_bad_arrays_are_refused() -> None:
    labels = np.ones((2, 1), dtype=np.uint8)
    with pytest.raises(DataError, match="NaN or infinity"):
        WeightedPrecision(np.array([[np.nan], [1.0]]), labels)
    with pytest.raises(DataError, match="shape"):
        WeightedDecisions(np.ones((3, 1)), labels, 0.5)
