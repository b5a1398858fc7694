"""Tables small enough to check by eye, for the figures whose own tests have none."""

import numpy as np
import pytest

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import (
    mean_average_precision,
    micro_average_precision,
    micro_curve,
)
from siglip2_multimodal_hash.evaluation.classification import (
    expected_calibration_error,
    label_ranking_figures,
)
from siglip2_multimodal_hash.evaluation.decisions import precision_recall_at, top_n
from siglip2_multimodal_hash.evaluation.protocol import evaluate_predictions
from siglip2_multimodal_hash.evaluation.ranking import evaluate_codes
from siglip2_multimodal_hash.evaluation.tie_aware import (
    TieGroups,
    expected_average_precision,
    expected_dcg,
    expected_normalised_average_precision,
    expected_precision_at,
    ideal_dcg,
)

# Four photos, three classes; the third class is empty, and so is the last photo.
#                   cat  dog  cow
SCORES = np.array([[0.9, 0.8, 0.1], [0.8, 0.2, 0.1], [0.8, 0.6, 0.3], [0.1, 0.1, 0.1]])
LABELS = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.uint8)


def test_average_precision_with_an_empty_class_and_ties() -> None:
    # cat: 0.9 (1 of 1), then 0.8 twice (2 of 3): (1 + 2/3) / 2. dog: 0.8, 0.6: 1. cow: left out.
    found = mean_average_precision(SCORES, LABELS)
    assert found.value == pytest.approx((5 / 6 + 1) / 2)
    assert found.classes_without_positives == 1


def test_micro_average_precision_with_ties() -> None:
    # 0.9: 1 of 1; 0.8: 3 of 4 (two right); 0.6: 4 of 5.
    assert micro_average_precision(SCORES, LABELS) == pytest.approx((1 + 2 * 3 / 4 + 4 / 5) / 4)
    curve = micro_curve(SCORES, LABELS)
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.6]
    assert curve.precision.tolist() == pytest.approx([1, 3 / 4, 4 / 5])
    assert curve.recall.tolist() == [0.25, 0.75, 1]


def test_label_ranking_with_an_empty_photo_and_ties() -> None:
    # Photo 1: ranks 1, 2. Photo 2: rank 1. Photo 3: rank 2 of 2 pairs, one wrong. Photo 4: empty.
    assert label_ranking_figures(SCORES, LABELS) == pytest.approx(
        {"lrap": (1 + 1 + 1 / 2 + 1) / 4, "coverage_error": 5 / 4, "ranking_loss": 0.5 / 4}
    )
    # A right label tied with a wrong one: both have rank 2, and the pair counts as wrong.
    tied = label_ranking_figures(np.array([[0.5, 0.5]]), np.array([[1, 0]], dtype=np.uint8))
    assert tied == {"lrap": 0.5, "coverage_error": 2, "ranking_loss": 1}


def test_the_best_two_of_a_photo() -> None:
    # Photos 1 to 3: cat and dog. Photo 4: three tie for two places, two thirds each.
    decisions = top_n(SCORES, LABELS, 2)
    assert decisions.decided.tolist() == pytest.approx([3 + 2 / 3, 3 + 2 / 3, 2 / 3])
    assert decisions.hits.tolist() == [2, 2, 0]
    # Right among the two: 2, 1, 1, 0; labels: 2, 1, 1, none.
    assert precision_recall_at(SCORES, LABELS, 2) == pytest.approx({"P@2": 4 / 8, "R@2": 1})


def test_calibration_with_ties() -> None:
    # Two bins of two decisions, sorted: 0 0 | 0 1. One of the three zeros has a label, and so has
    # the 1: each zero expects 1/3.
    scores = np.array([[0.0, 0.0], [0.0, 1.0]])
    labels = np.array([[0, 0], [1, 1]], dtype=np.uint8)
    # |0 - 2/3| and |1 - 4/3|, of 4 decisions.
    assert expected_calibration_error(scores, labels, bins=2) == pytest.approx(1 / 4)


def test_the_threshold_of_val_decides_test() -> None:
    # val: 0.7 decides both right ones; test has one right (0.75) and one wrong (0.7).
    val, val_labels = np.array([[0.7, 0.9], [0.1, 0.2]]), np.array([[1, 1], [0, 0]], np.uint8)
    test, test_labels = np.array([[0.75, 0.7]]), np.array([[1, 0]], np.uint8)
    figures = evaluate_predictions(val, val_labels, test, test_labels, top_n_tags=1)
    assert figures["threshold"]["tuned"] == 0.7
    assert figures["test"]["tuned_threshold"]["OP"] == 0.5
    assert figures["test"]["tuned_threshold"]["OR"] == 1
    assert figures["test"]["tuned_threshold"]["hamming_loss"] == 0.5
    assert figures["test"]["tuned_threshold"]["subset_accuracy"] == 0


# One query: at distance 0 a relevant item with 2 shared labels; at 1 two items, one relevant with
# 1 shared label; at 2 none; at 3 one relevant item with 1 shared label.
GROUPS = TieGroups(
    counts=np.array([[1, 2, 0, 1]]),
    relevant=np.array([[1, 1, 0, 1]]),
    gains=np.array([[2, 1, 0, 1]]),
)


def test_both_divisors_of_average_precision_at_a_cutoff() -> None:
    # R = 2: orders hit-hit (1/1 + 2/2) and hit-miss (1/1), half each.
    assert expected_average_precision(GROUPS, 2)[0] == pytest.approx((2 / 2 + 1 / 1) / 2)
    normalised = expected_normalised_average_precision(GROUPS, np.array([3]), 2)
    assert normalised[0] == pytest.approx((2 / 2 + 1 / 2) / 2)
    # R = 4: 1/1, then 2/2 or 2/3, then 3/4.
    everything = (1 + (1 + 2 / 3) / 2 + 3 / 4) / 3
    assert expected_average_precision(GROUPS, 4)[0] == pytest.approx(everything)
    normalised = expected_normalised_average_precision(GROUPS, np.array([3]), 4)
    assert normalised[0] == pytest.approx(everything)


def test_precision_and_gain_at_a_cutoff() -> None:
    assert [expected_precision_at(GROUPS, n)[0] for n in (1, 2, 3, 4, 8)] == pytest.approx(
        [1, 1.5 / 2, 2 / 3, 3 / 4, 3 / 8]
    )
    discount = 1 / np.log2([2, 3, 4, 5])
    assert expected_dcg(GROUPS, 2)[0] == pytest.approx(2 * discount[0] + 0.5 * discount[1])
    # The best order: gains 2, 1, 1, 0.
    best = ideal_dcg(np.array([[1, 2, 1]]), 100)[0]
    assert best == pytest.approx(2 * discount[0] + discount[1] + discount[2])


def test_a_query_without_a_hit_counts_zero_and_one_without_any_relevant_item_does_not_count() -> (
    None
):
    # 200 wrong items are nearer than the one relevant item: mAP@100 is 0, and mAP@all 1/201.
    database = np.zeros((201, 1), dtype=np.uint8)
    database[200] = 255
    labels = np.zeros((201, 2), dtype=np.uint8)
    labels[200, 0] = 1
    queries = np.zeros((2, 1), dtype=np.uint8)
    figures = evaluate_codes(queries, database, np.eye(2, dtype=np.uint8), labels).figures()
    assert figures["queries"] == 2
    assert figures["queries_without_relevant"] == 1
    assert figures["mAP@100"] == figures["mAP@100 (recall-normalised)"] == figures["P@100"] == 0
    assert figures["mAP@all"] == pytest.approx(1 / 201)
    assert figures["precision@radius2"] == figures["recall@radius2"] == 0
    assert figures["chance"] == pytest.approx(1 / 201)


def test_nothing_to_find_is_an_error() -> None:
    with pytest.raises(DataError, match="no query shares a label"):
        evaluate_codes(
            np.zeros((1, 1), np.uint8),
            np.zeros((1, 1), np.uint8),
            np.array([[1, 0]], np.uint8),
            np.array([[0, 1]], np.uint8),
        )
