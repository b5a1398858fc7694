"""Average precision by hand and against scikit-learn, ties included."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import (
    average_precisions,
    mean_average_precision,
    micro_average_precision,
    micro_curve,
    threshold_counts,
)


def column(values: list[float]) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64)[:, None]


def labels_of(values: list[int]) -> npt.NDArray[np.uint8]:
    return np.array(values, dtype=np.uint8)[:, None]


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], (1 + 2 / 3) / 2),
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 0], 1.0),
        ([0.1, 0.2], [1, 0], 0.5),
        # One threshold admits the first two, of which one is right: 1/2, not 1 or 1/2 by luck.
        ([0.9, 0.9, 0.1], [1, 0, 0], 0.5),
        ([0.9, 0.9, 0.1], [0, 1, 0], 0.5),
        ([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0], 0.25),
        ([0.0, -0.0], [0, 1], 0.5),
        # Thresholds 0.9: 1 of 2; 0.4: 2 of 4.
        ([0.9, 0.9, 0.4, 0.4], [1, 0, 0, 1], 0.5),
    ],
)
def test_golden(scores: list[float], labels: list[int], expected: float) -> None:
    assert average_precisions(column(scores), labels_of(labels))[0] == pytest.approx(expected)


@given(
    levels=st.sampled_from([2, 5, 10**6]),
    rows=st.integers(1, 60),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_scikit_learn_agrees(levels: int, rows: int, dtype: npt.DTypeLike, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = (generator.integers(0, levels, (rows, 7)) / levels).astype(dtype)
    labels = (generator.random((rows, 7)) < 0.3).astype(np.uint8)
    labels[0, 0], labels[:, 1] = 1, 0
    found = average_precisions(scores, labels)
    assert np.isnan(found[1])
    some = np.flatnonzero(labels.any(axis=0))
    expected = [average_precision_score(labels[:, c], scores[:, c]) for c in some]
    assert np.allclose(found[some], expected, rtol=0, atol=1e-9)
    mean = mean_average_precision(scores, labels)
    assert mean.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert mean.classes_without_positives == 7 - len(some)
    assert micro_average_precision(scores, labels) == pytest.approx(
        average_precision_score(labels.ravel(), scores.ravel()), abs=1e-9
    )


def test_the_order_of_rows_changes_nothing() -> None:
    generator = np.random.default_rng(1)
    scores = generator.integers(0, 4, (50, 3)) / 4
    labels = generator.integers(0, 2, (50, 3), dtype=np.uint8)
    order = generator.permutation(50)
    one, other = (
        average_precisions(scores, labels),
        average_precisions(scores[order], labels[order]),
    )
    assert one.tolist() == other.tolist()


def test_perfect_scores_give_one() -> None:
    labels = np.random.default_rng(2).integers(0, 2, (40, 5), dtype=np.uint8)
    assert mean_average_precision(labels.astype(np.float32), labels).value == 1
    assert micro_average_precision(labels.astype(np.float32), labels) == 1


def test_five_thousand_photos_take_no_time() -> None:
    generator = np.random.default_rng(3)
    scores = generator.random((5000, 80), dtype=np.float32)
    labels = (generator.random((5000, 80)) < 0.04).astype(np.uint8)
    started = time.process_time()
    average_precisions(scores, labels)
    assert time.process_time() - started < 1


def test_threshold_counts_by_hand() -> None:
    scores = np.array([[0.9, 0.2], [0.5, 0.5]])
    labels = np.array([[1, 1], [0, 1]], dtype=np.uint8)
    thresholds, decided, hits = threshold_counts(scores, labels)
    assert thresholds.tolist() == [0.9, 0.5, 0.2]
    assert decided.tolist() == [1, 3, 4]
    assert hits.tolist() == [1, 2, 3]


@pytest.mark.parametrize("levels", [20, 10**6])
def test_the_curve_is_thinned_but_exact(levels: int) -> None:
    generator = np.random.default_rng(4)
    labels = (generator.random((400, 6)) < 0.3).astype(np.uint8)
    noise = generator.integers(0, levels, (400, 6)) / levels
    scores = 0.3 * labels + 0.7 * noise
    curve = micro_curve(scores, labels)
    precision, recall, thresholds = precision_recall_curve(labels.ravel(), scores.ravel())
    exact = {t: (p, r) for t, p, r in zip(thresholds, precision, recall, strict=False)}
    assert len(curve.thresholds) <= 200
    assert len(curve.thresholds) > (150 if levels > 20 else 10)
    for point in zip(*curve, strict=True):
        assert exact[point[0]] == pytest.approx(point[1:], abs=1e-12)
    assert curve.thresholds[0] == scores.max()
    assert curve.recall[-1] == 1
    assert (np.diff(curve.recall) >= 0).all()
    assert (np.diff(curve.thresholds) < 0).all()


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.array([[np.nan]]), np.array([[1]]), r"scores holds NaN or infinity \(first in row 0\)"),
        (np.zeros((2, 3)), np.ones((2, 4)), r"scores has shape \(2, 3\), labels has \(2, 4\)"),
        (np.zeros((2, 3)), np.ones((3, 3)), r"scores has shape \(2, 3\), labels has \(3, 3\)"),
        (np.zeros((1, 2)), np.array([[0, 3]]), "labels holds 3: labels are 0 or 1"),
        (np.zeros((1, 2)), np.array([[0, 0]]), "no class has a positive"),
        (np.zeros((1, 2), dtype=int), np.array([[0, 1]]), "scores: int64 of shape"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "scores is empty"),
    ],
)
def test_bad_input_is_named(
    scores: npt.NDArray[Any], labels: npt.NDArray[Any], message: str
) -> None:
    for figure in (mean_average_precision, micro_curve):
        with pytest.raises(DataError, match=message):
            figure(scores, labels)
