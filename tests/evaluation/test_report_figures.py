"""The figures that only the report draws: reliability and distances, counted by hand."""

import numpy as np
import pytest

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.classification import expected_calibration_error
from siglip2_multimodal_hash.evaluation.distance_distribution import (
    COSINE_BINS,
    cosine_distribution,
    hamming_distribution,
)
from siglip2_multimodal_hash.evaluation.reliability import reliability


def test_reliability_by_hand() -> None:
    scores = np.array([[0.1, 0.9], [0.3, 0.7]], dtype=np.float32)
    labels = np.array([[0, 1], [1, 1]], dtype=np.uint8)
    points = reliability(scores, labels, bins=2)
    assert points.scores == pytest.approx([0.2, 0.8])
    assert points.shares.tolist() == [0.5, 1.0]
    assert points.sizes.tolist() == [2, 2]


def test_bins_that_cut_equal_scores_share_their_positives() -> None:
    scores = np.zeros((1, 4), dtype=np.float32)
    labels = np.array([[1, 0, 0, 0]], dtype=np.uint8)
    points = reliability(scores, labels, bins=2)
    assert points.shares.tolist() == [0.25, 0.25]


def test_the_weighted_gap_is_the_calibration_error() -> None:
    generator = np.random.default_rng(3)
    scores = generator.random((40, 7)).round(1).astype(np.float32)
    labels = (generator.random((40, 7)) < scores**2).astype(np.uint8)
    points = reliability(scores, labels)
    gap = np.abs(points.scores - points.shares) @ points.sizes / points.sizes.sum()
    assert gap == pytest.approx(expected_calibration_error(scores, labels), abs=1e-7)
    assert points.sizes.sum() == 280
    assert np.ptp(points.sizes) <= 1


def test_fewer_decisions_than_bins() -> None:
    points = reliability(np.array([[0.5]], dtype=np.float32), np.array([[1]], dtype=np.uint8))
    assert points.sizes.tolist() == [1]


def test_scores_beyond_one_are_refused() -> None:
    with pytest.raises(DataError, match="scores"):
        reliability(np.array([[1.5]], dtype=np.float32), np.array([[1]], dtype=np.uint8))


def test_hamming_pairs_by_hand() -> None:
    queries = np.array([[0b00000000], [0b11111111]], dtype=np.uint8)
    database = np.array([[0b00000000], [0b00000001], [0b11111110]], dtype=np.uint8)
    query_labels = np.array([[1, 0], [0, 1]], dtype=np.uint8)
    database_labels = np.array([[1, 0], [1, 1], [0, 1]], dtype=np.uint8)
    counted = hamming_distribution(queries, database, query_labels, database_labels)
    assert counted.distances.tolist() == list(range(9))
    # The first query is 0, 1 and 7 bits away; the second 8, 7 and 1.
    assert counted.relevant.tolist() == [1, 2, 0, 0, 0, 0, 0, 1, 0]
    assert counted.irrelevant.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1]


def test_cosine_pairs_by_hand() -> None:
    queries = np.array([[1.0, 0.0]], dtype=np.float32)
    database = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=np.float32)
    labels = np.array([[1], [1], [0]], dtype=np.uint8)
    counted = cosine_distribution(queries, database, labels[:1], labels)
    assert np.flatnonzero(counted.relevant).tolist() == [0, COSINE_BINS // 2]
    assert np.flatnonzero(counted.irrelevant).tolist() == [COSINE_BINS - 1]
    assert counted.distances[0] == 0.5 / COSINE_BINS


def test_other_lengths_are_refused() -> None:
    vectors, labels = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.uint8)
    with pytest.raises(DataError, match="rows of the database"):
        cosine_distribution(vectors, vectors[:1], labels, labels)
