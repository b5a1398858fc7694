"""Order of labels within a photo, and calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    coverage_error,
    label_ranking_average_precision_score,
    label_ranking_loss,
)

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.classification import (
    expected_calibration_error,
    label_ranking_figures,
)


def test_golden_label_ranking() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.3, 0.2, 0.8]])
    labels = np.array([[1, 0, 1], [1, 0, 0]], dtype=np.uint8)
    # Photo 1: ranks 1 and 3 -> (1/1 + 2/3) / 2; depth 3; one of two pairs wrong.
    # Photo 2: rank 2 -> 1/2; depth 2; one of two pairs wrong.
    assert label_ranking_figures(scores, labels) == pytest.approx(
        {"lrap": (5 / 6 + 1 / 2) / 2, "coverage_error": 2.5, "ranking_loss": 0.5}
    )


@given(st.integers(1, 700), st.integers(2, 12), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_label_ranking_equals_scikit_learn(
    photos: int, classes: int, levels: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(levels, size=(photos, classes)) / 4  # ties abound
    labels = (generator.random((photos, classes)) < generator.random()).astype(np.uint8)
    assert label_ranking_figures(scores, labels) == pytest.approx(
        {
            "lrap": label_ranking_average_precision_score(labels, scores),
            "coverage_error": coverage_error(labels, scores),
            "ranking_loss": label_ranking_loss(labels, scores),
        },
        rel=0,
        abs=1e-9,
    )


def test_golden_calibration() -> None:
    scores = np.array([[0.1, 0.2], [0.7, 0.8]])
    labels = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    # Two bins: |0.15 - 0.5| and |0.75 - 0.5|.
    assert expected_calibration_error(scores, labels, bins=2) == pytest.approx(0.3)
    assert expected_calibration_error(scores, labels, bins=1) == pytest.approx(0.05)


def test_a_calibrated_predictor_has_no_error() -> None:
    scores = np.repeat([0.0, 0.25, 1.0], 60).reshape(-1, 4)
    labels = np.concatenate([np.zeros(60), np.tile([1, 0, 0, 0], 15), np.ones(60)])
    assert expected_calibration_error(scores, labels.reshape(-1, 4)) == pytest.approx(0)


def test_ties_across_a_bin_edge_do_not_depend_on_the_order() -> None:
    generator = np.random.default_rng(0)
    scores = generator.choice([0.0, 0.05, 0.4], (200, 3), p=[0.8, 0.1, 0.1])
    labels = (generator.random((200, 3)) < 0.2).astype(np.uint8)
    order = generator.permutation(200)
    assert expected_calibration_error(scores, labels) == pytest.approx(
        expected_calibration_error(scores[order], labels[order]), abs=1e-12
    )


def test_scores_beyond_one_are_refused() -> None:
    with pytest.raises(DataError, match=r"scores: from 0 to 1\.5, expected from 0 to 1"):
        expected_calibration_error(np.array([[0.0, 1.5]]), np.array([[0, 1]]))
