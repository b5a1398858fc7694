"""Votes of the neighbours, by hand."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW, Neighbours
from siglip2_multimodal_hash.retrieval.voting import (
    combine_scores,
    sparse_labels,
    vote_scores,
    vote_weights,
    weights_of,
)

SIMILARITIES = np.array([[1.0, 0.75, 0.5]], dtype=np.float32)
LABELS = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], dtype=np.uint8)


def weights(vote: Any, *, tau: float = 0.25, threshold: float = 0.6) -> list[float]:
    found = vote_weights(SIMILARITIES, vote, tau=tau, threshold=threshold)
    return [float(weight) for weight in found[0]]


def test_weights_by_hand() -> None:
    assert weights("uniform") == pytest.approx([1 / 3] * 3)
    assert weights("rank") == pytest.approx([6 / 11, 3 / 11, 2 / 11])
    total = 1 + np.exp(-1) + np.exp(-2)
    assert weights("softmax") == pytest.approx([1 / total, np.exp(-1) / total, np.exp(-2) / total])
    assert weights("threshold") == pytest.approx([0.5, 0.5, 0.0])


def test_threshold_is_reached_by_an_equal_similarity() -> None:
    assert weights("threshold", threshold=0.5) == pytest.approx([1 / 3] * 3)


def test_without_a_near_neighbour_all_vote() -> None:
    far = np.array([[0.3, 0.2], [0.9, 0.2]], dtype=np.float32)
    found = vote_weights(far, "threshold", tau=1, threshold=0.5)
    assert found.tolist() == [[0.5, 0.5], [1.0, 0.0]]


def test_softmax_survives_a_tiny_temperature() -> None:
    assert weights("softmax", tau=1e-300) == [1.0, 0.0, 0.0]


def test_scores_by_hand() -> None:
    neighbours = Neighbours(np.array([[1, 0, 2]]), SIMILARITIES)
    scores = vote_scores(neighbours, LABELS, "rank", tau=1, threshold=0)
    assert scores.dtype == np.float32
    # Class 0 has the voters of rank 1 and 2, class 1 those of rank 1 and 3.
    assert scores.tolist() == [pytest.approx([9 / 11, 8 / 11])]
    prepared = vote_scores(neighbours, sparse_labels(LABELS), "rank", tau=1, threshold=0)
    assert np.array_equal(prepared, scores)


def test_classes_with_the_same_voters_tie_exactly() -> None:
    generator = np.random.default_rng(0)
    column = generator.integers(0, 2, (30, 1), dtype=np.uint8)
    rows = generator.permuted(np.tile(np.arange(30), (8, 1)), axis=1)[:, :20]
    similarities = np.sort(generator.random((8, 20), dtype=np.float32), axis=1)[:, ::-1]
    scores = vote_scores(
        Neighbours(rows, similarities),
        np.repeat(column, 77, axis=1),
        "softmax",
        tau=0.1,
        threshold=0,
    )
    assert np.array_equal(scores, np.repeat(scores[:, :1], 77, axis=1))


@given(
    vote=st.sampled_from(["uniform", "softmax", "rank", "threshold"]),
    K=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_scores_are_a_mean_of_labels(vote: Any, K: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, (40, 6), dtype=np.uint8)
    labels[:, 0], labels[:, 1] = 1, 0
    rows = generator.integers(0, 40, (5, K))
    similarities = np.sort(generator.random((5, K), dtype=np.float32), axis=1)[:, ::-1]
    scores = vote_scores(Neighbours(rows, similarities), labels, vote, tau=0.07, threshold=0.5)
    assert (scores[:, 0] == 1).all()
    assert (scores[:, 1] == 0).all()
    expected = np.einsum(
        "qk,qkc->qc", vote_weights(similarities, vote, tau=0.07, threshold=0.5), labels[rows]
    )
    assert np.allclose(scores, expected, atol=1e-6)


@given(K=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_scores_are_the_plain_sum_by_rank_to_the_last_bit(K: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, (50, 7), dtype=np.uint8)
    rows = generator.permuted(np.tile(np.arange(50), (6, 1)), axis=1)[:, :K]
    similarities = np.sort(generator.random((6, K), dtype=np.float32), axis=1)[:, ::-1]
    for query, found in enumerate(generator.integers(0, K + 1, 6)):
        rows[query, found:], similarities[query, found:] = NO_ROW, 0
    neighbours = Neighbours(rows, similarities)
    found = weights_of(neighbours, "softmax", tau=0.1, threshold=0.5)
    expected = np.zeros((6, 7))
    for rank in range(K):
        expected += found[:, rank, None] * labels[rows[:, rank]]
    scores = vote_scores(neighbours, labels, "softmax", tau=0.1, threshold=0.5)
    np.testing.assert_array_equal(scores, expected.clip(0, 1).astype(np.float32))


def test_neighbours_that_were_not_found_have_no_vote() -> None:
    """Query 0 lacks its third neighbour, query 1 all: as if K were 2, and no score at all."""
    rows = np.array([[1, 0, -1], [-1, -1, -1]])
    similarities = np.array([[1.0, 0.75, 0], [0, 0, 0]], dtype=np.float32)
    for vote in ("uniform", "softmax", "rank", "threshold"):
        # The last row of the labels, which -1 would be, has the third class.
        labels = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=np.uint8)
        neighbours = Neighbours(rows, similarities)
        scores = vote_scores(neighbours, labels, vote, tau=0.25, threshold=0.0)
        two = Neighbours(rows[:1, :2], similarities[:1, :2])
        assert np.array_equal(scores[:1], vote_scores(two, labels, vote, tau=0.25, threshold=0.0))
        assert scores[0, 0] == 1
        assert scores[1].tolist() == [0, 0, 0]
    found = vote_weights(similarities, "rank", tau=1, threshold=0, found=rows >= 0)
    assert found.tolist() == [[pytest.approx(2 / 3), pytest.approx(1 / 3), 0], [0, 0, 0]]
    # None of those that were found is near: they share the vote.
    found = vote_weights(similarities, "threshold", tau=1, threshold=1.0, found=rows >= 1)
    assert found.tolist() == [[1, 0, 0], [0, 0, 0]]
    far = np.array([[0.5, 0.25, 0]], dtype=np.float32)
    found = vote_weights(far, "threshold", tau=1, threshold=0.75, found=rows[:1] >= 0)
    assert found.tolist() == [[0.5, 0.5, 0]]


def test_hybrid_is_the_weighted_mean() -> None:
    knn, mlp = np.array([[1.0, 0.0]], np.float32), np.array([[0.5, 0.5]], np.float32)
    assert combine_scores(knn, mlp, 0.25).tolist() == [[0.625, 0.375]]
    assert combine_scores(knn, mlp, 1.0).tolist() == knn.tolist()


@pytest.mark.parametrize(
    ("knn", "mlp", "weight", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), 0.5, r"mlp scores: \(2, 4\), of the knn scores"),
        (np.zeros((1, 1)), np.ones((1, 1)), 1.5, r"knn\.hybrid_weight = 1\.5"),
        (np.zeros((1, 1)), np.full((1, 1), 3.0), 0.5, "mlp scores: from 3 to 3, expected from 0"),
        (np.full((1, 1), np.nan), np.zeros((1, 1)), 0.5, "knn scores: from nan to nan"),
    ],
)
def test_hybrid_refuses(
    knn: npt.NDArray[Any], mlp: npt.NDArray[Any], weight: float, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        combine_scores(knn.astype(np.float32), mlp.astype(np.float32), weight)


def test_votes_refuse_bad_input() -> None:
    neighbours = Neighbours(np.array([[1, 0, 4]]), SIMILARITIES)
    with pytest.raises(DataError, match="rows 0 to 4, the database has 4 labels"):
        vote_scores(neighbours, LABELS, "uniform", tau=1, threshold=0)
    with pytest.raises(DataError, match="rows -2 to 1, the database has 4 labels"):
        vote_scores(
            Neighbours(np.array([[1, 0, -2]]), SIMILARITIES), LABELS, "rank", tau=1, threshold=0
        )
    with pytest.raises(DataError, match="database labels holds 2: labels are 0 or 1"):
        vote_scores(neighbours, LABELS * 2, "uniform", tau=1, threshold=0)
    with pytest.raises(InputError, match=r"knn\.tau = 0"):
        weights("softmax", tau=0)
    with pytest.raises(InputError, match=r"knn\.vote = 'loudest': unknown"):
        weights("loudest")
    with pytest.raises(DataError, match="similarities: from 0 to 2"):
        vote_weights(np.array([[2.0, 0.0]], np.float32), "uniform", tau=1, threshold=0)
