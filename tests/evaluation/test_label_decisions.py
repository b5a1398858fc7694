"""Decisions by threshold and by rank: by hand, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    hamming_loss,
    precision_recall_fscore_support,
)

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.decisions import (
    at_threshold,
    precision_recall_at,
    subset_figures,
    top_n,
    tune_threshold,
)

# Three photos, three classes; the third class has no positive.
SCORES = np.array([[0.9, 0.6, 0.1], [0.8, 0.4, 0.7], [0.2, 0.5, 0.3]])
LABELS = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=np.uint8)


def test_golden_at_a_threshold() -> None:
    # Decided at 0.5: [1 1 0], [1 0 1], [0 1 0]. Hits: 1 of 2 and 1 of 2; class 2 decided once.
    figures = at_threshold(SCORES, LABELS, 0.5).figures()
    assert figures == pytest.approx(
        {
            "CP": 0.5,
            "CR": 0.5,
            "CF1": 0.5,
            "OP": 2 / 5,
            "OR": 2 / 4,
            "OF1": 4 / 9,
            "f1_macro": 0.5,
            "f1_micro": 4 / 9,
        }
    )
    assert subset_figures(SCORES, LABELS, 0.5) == pytest.approx(
        {"hamming_loss": 5 / 9, "subset_accuracy": 1 / 3}
    )


def test_the_two_conventions_of_cf1_differ() -> None:
    # Class 0: precision 1, recall 1/2. Class 1: precision 1/2, recall 1.
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    labels = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.uint8)
    figures = at_threshold(scores, labels, 0.5).figures()
    assert figures["CF1"] == pytest.approx(0.75)
    assert figures["f1_macro"] == pytest.approx(2 / 3)


def test_a_class_never_decided_has_precision_zero() -> None:
    figures = at_threshold(np.zeros((2, 1)), np.ones((2, 1), np.uint8), 0.5).figures()
    assert set(figures.values()) == {0.0}


@given(threshold=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_scikit_learn_agrees(threshold: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 11, (30, 6)) / 10
    labels = generator.integers(0, 2, (30, 6), dtype=np.uint8)
    labels[0] = 1
    labels[:, 5] = 0
    classes = [0, 1, 2, 3, 4]
    decided = (scores >= threshold).astype(np.uint8)
    figures = at_threshold(scores, labels, threshold).figures()
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, decided, labels=classes, average=None, zero_division=0
    )
    assert figures["CP"] == pytest.approx(precision.mean(), abs=1e-9)
    assert figures["CR"] == pytest.approx(recall.mean(), abs=1e-9)
    assert figures["f1_macro"] == pytest.approx(f1.mean(), abs=1e-9)
    micro = precision_recall_fscore_support(labels, decided, average="micro", zero_division=0)
    for name, value in zip(("OP", "OR", "OF1"), micro[:3], strict=True):
        assert figures[name] == pytest.approx(value, abs=1e-9)
    assert figures["f1_micro"] == pytest.approx(figures["OF1"])
    assert subset_figures(scores, labels, threshold) == pytest.approx(
        {
            "hamming_loss": hamming_loss(labels, decided),
            "subset_accuracy": accuracy_score(labels, decided),
        },
        abs=1e-9,
    )


def test_golden_top_two() -> None:
    # Decided: [1 1 0], [1 0 1], [0 1 1].
    figures = top_n(SCORES, LABELS, 2).figures()
    assert figures["OP"] == pytest.approx(2 / 6)
    assert figures["OR"] == pytest.approx(2 / 4)
    assert figures["CP"] == pytest.approx(0.5)
    assert figures["CR"] == pytest.approx(0.5)


def test_ties_share_the_last_place() -> None:
    scores = np.array([[0.9, 0.5, 0.5, 0.1]])
    labels = np.array([[1, 0, 1, 0]], dtype=np.uint8)
    decisions = top_n(scores, labels, 2)
    assert decisions.decided.tolist() == [1, 0.5, 0.5, 0]
    assert decisions.hits.tolist() == [1, 0, 0.5, 0]
    assert precision_recall_at(scores, labels, 2) == pytest.approx({"P@2": 0.75, "R@2": 0.75})


def test_the_order_of_classes_changes_nothing() -> None:
    generator = np.random.default_rng(5)
    scores = generator.integers(0, 3, (20, 8)) / 2
    labels = generator.integers(0, 2, (20, 8), dtype=np.uint8)
    order = generator.permutation(8)
    one = top_n(scores, labels, 3).figures() | precision_recall_at(scores, labels, 5)
    other = top_n(scores[:, order], labels[:, order], 3).figures() | precision_recall_at(
        scores[:, order], labels[:, order], 5
    )
    assert one == pytest.approx(other)


def test_photos_without_a_label_count_for_precision_only() -> None:
    scores = np.array([[0.9, 0.1], [0.9, 0.1]])
    labels = np.array([[1, 0], [0, 0]], dtype=np.uint8)
    assert precision_recall_at(scores, labels, 1) == {"P@1": 0.5, "R@1": 1.0}


def test_perfect_scores_give_one() -> None:
    labels = np.random.default_rng(6).integers(0, 2, (40, 5), dtype=np.uint8)
    threshold = tune_threshold(labels.astype(np.float32), labels)
    figures = at_threshold(labels.astype(np.float32), labels, threshold).figures()
    assert set(figures.values()) == {1.0}


def test_the_tuned_threshold_by_hand() -> None:
    # F1 at 0.9: 2/5; at 0.8: 2/6 (one more wrong); at 0.7: 2/7; at 0.6: 4/8; at 0.5: 4/9.
    assert tune_threshold(SCORES, LABELS) == 0.2  # all labels found: F1 = 8 / (8 + 4) = 2/3


def test_equally_good_thresholds_give_the_highest() -> None:
    scores = np.array([[0.9], [0.5], [0.4], [0.3]])
    labels = np.array([[1], [0], [0], [1]], dtype=np.uint8)
    # F1 = 2/3 at 0.9 (1 of 1, of 2) and at 0.3 (2 of 4, of 2).
    assert tune_threshold(scores, labels) == 0.9


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_no_threshold_is_better_than_the_tuned_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = (generator.integers(0, 30, (12, 4)) / 29).astype(np.float32)
    labels = generator.integers(0, 2, (12, 4), dtype=np.uint8)
    labels[0, 0] = 1
    best = max(
        f1_score(labels, scores >= threshold, average="micro", zero_division=0)
        for threshold in np.unique(scores)
    )
    tuned = at_threshold(scores, labels, tune_threshold(scores, labels)).figures()
    assert tuned["f1_micro"] == pytest.approx(best, abs=1e-12)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match=r"knn\.top_n_tags = 4: there are 3 classes"):
        top_n(SCORES, LABELS, 4)
    with pytest.raises(InputError, match=r"knn\.top_n_tags = 0"):
        precision_recall_at(SCORES, LABELS, 0)
    with pytest.raises(DataError, match="no photo has a label"):
        precision_recall_at(SCORES, LABELS * 0, 1)
    with pytest.raises(DataError, match="no class has a positive"):
        tune_threshold(SCORES, LABELS * 0)
    with pytest.raises(DataError, match="no class has a positive"):
        at_threshold(SCORES, LABELS * 0, 0.5).figures()
    with pytest.raises(DataError, match="scores holds NaN"):
        at_threshold(SCORES * np.nan, LABELS, 0.5)
