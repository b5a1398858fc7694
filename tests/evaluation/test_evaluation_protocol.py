"""The assembled figures of a predictor and of a set of codes; differences between runs."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.arrays import Labels, Scores
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.evaluation.decisions import at_threshold, tune_threshold
from siglip2_multimodal_hash.evaluation.protocol import evaluate_predictions, evaluate_retrieval
from siglip2_multimodal_hash.evaluation.ranking import evaluate_codes, evaluate_vectors
from siglip2_multimodal_hash.evaluation.significance import (
    bootstrap,
    mean_difference,
    mean_of_some,
)
from siglip2_multimodal_hash.evaluation.weighted_precision import WeightedPrecision


def a_split(seed: int, count: int = 60) -> tuple[Scores, Labels]:
    generator = np.random.default_rng(seed)
    labels = (generator.random((count, 8)) < 0.25).astype(np.uint8)
    labels[:, 7] = 0
    scores = (0.4 * labels + 0.6 * generator.random((count, 8))).astype(np.float32)
    return scores, labels


def test_the_threshold_comes_from_val_and_is_applied_to_test() -> None:
    (val, val_labels), (test, test_labels) = a_split(0), a_split(1)
    figures = evaluate_predictions(
        val, val_labels, test, test_labels, top_n_tags=5, fixed_threshold=0.5
    )
    tuned = tune_threshold(val, val_labels)
    assert figures["threshold"] == {"tuned": tuned, "fixed": 0.5}
    expected = at_threshold(test, test_labels, tuned).figures()
    assert expected.items() <= figures["test"]["tuned_threshold"].items()
    assert figures["test"]["fixed_threshold"]["OF1"] == pytest.approx(
        at_threshold(test, test_labels, 0.5).figures()["OF1"]
    )
    mean = mean_average_precision(test, test_labels)
    assert figures["test"]["mAP"] == mean.value
    assert figures["test"]["classes_without_positives"] == 1
    assert figures["val"]["images"] == 60


def test_every_figure_is_a_plain_number() -> None:
    (val, val_labels), (test, test_labels) = a_split(0), a_split(1)
    figures = evaluate_predictions(val, val_labels, test, test_labels, top_n_tags=5)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert set(figures["test"]) == set(figures["val"])
    assert {"P@5", "R@5", "ece", "lrap", "top3", "mAP_micro", "mAP_chance"} <= set(figures["val"])
    assert "fixed_threshold" not in figures["val"]


def test_perfect_scores_are_perfect() -> None:
    labels = a_split(0)[1]
    figures = evaluate_predictions(
        labels.astype(np.float32), labels, labels.astype(np.float32), labels, top_n_tags=1
    )["test"]
    for name in ("mAP", "mAP_micro", "lrap"):
        assert figures[name] == 1
    assert figures["tuned_threshold"]["subset_accuracy"] == 1
    assert figures["ece"] == figures["ranking_loss"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores_test": np.full((60, 8), np.nan)}, "scores of test holds NaN"),
        ({"scores_val": np.zeros((59, 8))}, r"scores of val has shape \(59, 8\), labels of val"),
        ({"labels_val": np.full((60, 8), 2)}, "labels of val holds 2"),
        ({"scores_test": np.full((60, 8), 1.5)}, "scores of test: from 1.5 to 1.5"),
        (
            {"scores_val": np.zeros((60, 9)), "labels_val": np.ones((60, 9), np.uint8)},
            "classes of test: 8, of val: 9",
        ),
        ({"labels_test": np.zeros((60, 8), np.uint8)}, "labels of test: no class has a positive"),
    ],
)
def test_bad_input_names_the_split(change: dict[str, npt.NDArray[Any]], message: str) -> None:
    (val, val_labels), (test, test_labels) = a_split(0), a_split(1)
    given: dict[str, Any] = {
        "scores_val": val,
        "labels_val": val_labels,
        "scores_test": test,
        "labels_test": test_labels,
    }
    with pytest.raises(DataError, match=message):
        evaluate_predictions(**(given | change), top_n_tags=5)


def test_retrieval_goes_by_hamming_for_codes_and_by_cosine_for_vectors() -> None:
    generator = np.random.default_rng(4)
    labels = a_split(2, 80)[1]
    codes = generator.integers(0, 256, (80, 2), dtype=np.uint8)
    vectors = generator.standard_normal((80, 5)).astype(np.float32)
    for items, evaluate in ((codes, evaluate_codes), (vectors, evaluate_vectors)):
        found = evaluate_retrieval(items[:20], items[20:], labels[:20], labels[20:]).figures()
        assert found == evaluate(items[:20], items[20:], labels[:20], labels[20:]).figures()
        assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_interval_is_that_of_the_normal_approximation() -> None:
    generator = np.random.default_rng(8)
    a, b = generator.normal(1, 1, 400), generator.normal(0.9, 1, 400)
    found = mean_difference(a, b, seed=1)
    error = (a - b).std() / np.sqrt(400)
    assert found.value == pytest.approx((a - b).mean())
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.2 * error)


def test_resampled_map_is_that_of_repeated_photos() -> None:
    scores, labels = a_split(9, 20)
    scores = np.round(scores, 1)
    precision = WeightedPrecision(scores, labels)
    (found,) = bootstrap(
        lambda weights: np.array([mean_of_some(precision(weights))]), 20, seed=3, draws=1
    )
    chosen = np.random.default_rng((3, 0)).integers(20, size=20)
    expected = mean_average_precision(scores[chosen], labels[chosen]).value
    assert found.low == found.high == pytest.approx(expected)


def test_differences_need_the_same_items() -> None:
    with pytest.raises(DataError, match=r"length of values a: \(2,\), of values b: \(3,\)"):
        mean_difference(np.ones(2), np.ones(3), seed=0)
