"""Retrieval end to end, on codes and on vectors, against plain loops."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.arrays import Labels
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation import cosine_groups
from siglip2_multimodal_hash.evaluation.average_precision import (
    chance_mean_average_precision,
)
from siglip2_multimodal_hash.evaluation.histograms import hamming_groups, relevant_totals
from siglip2_multimodal_hash.evaluation.ranking import evaluate_codes, evaluate_vectors
from siglip2_multimodal_hash.retrieval.codes import binarize, hamming_distances


def some_labels(count: int, generator: np.random.Generator, classes: int = 9) -> Labels:
    return (generator.random((count, classes)) < 0.2).astype(np.uint8)


def test_golden() -> None:
    # Distances 0, 1, 1, 3, 8 from the one query; relevant: yes, yes, no, no, yes.
    database = np.array([[0], [0b1], [0b10], [0b111], [0b11111111]], dtype=np.uint8)
    query = np.zeros((1, 1), dtype=np.uint8)
    labels = np.array([[1, 1], [1, 0], [0, 0], [0, 0], [0, 1]], dtype=np.uint8)
    result = evaluate_codes(query, database, np.array([[1, 1]], dtype=np.uint8), labels)
    figures = result.figures()
    ap = (1 + (2 / 2 + 2 / 3) / 2 + 3 / 5) / 3
    assert figures["mAP@all"] == pytest.approx(ap)
    assert figures["mAP@5000"] == pytest.approx(ap)
    assert figures["mAP@100 (recall-normalised)"] == pytest.approx(ap)
    assert figures["P@1"] == 1
    assert figures["P@10"] == pytest.approx(0.3)
    assert figures["precision@radius2"] == pytest.approx(2 / 3)
    assert figures["recall@radius2"] == pytest.approx(2 / 3)
    assert figures["empty@radius2"] == 0
    assert figures["chance"] == pytest.approx(3 / 5)
    discounts = 1 / np.log2(np.arange(2, 7))
    dcg = 2 * discounts[0] + (discounts[1] + discounts[2]) / 2 + discounts[4]
    assert figures["NDCG@100"] == pytest.approx(dcg / (2 * discounts[0] + sum(discounts[1:3])))
    assert result.curve.distances.tolist() == [i / 8 for i in range(9)]
    assert result.curve.precision.tolist() == pytest.approx([1, 2 / 3, 2 / 3, *[2 / 4] * 5, 3 / 5])
    assert result.curve.recall.tolist() == pytest.approx([1 / 3, *[2 / 3] * 7, 1])


def test_queries_without_a_relevant_item_are_left_out_and_counted() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 256, (30, 2), dtype=np.uint8)
    labels = some_labels(30, generator)
    labels[5:, 8] = 0
    labels[3] = 0
    labels[4] = 0
    labels[4, 8] = 1
    result = evaluate_codes(codes[:5], codes[5:], labels[:5], labels[5:])
    assert result.figures()["queries"] == 5
    assert {3, 4}.isdisjoint(result.rows.tolist())
    assert result.figures()["queries_without_relevant"] == 5 - len(result.rows)
    kept = evaluate_codes(codes[result.rows], codes[5:], labels[result.rows], labels[5:])
    assert kept.figures()["mAP@all"] == result.figures()["mAP@all"]


def test_an_empty_ball_counts_zero() -> None:
    result = evaluate_codes(
        np.array([[0], [255]], dtype=np.uint8),
        np.array([[0]], dtype=np.uint8),
        np.ones((2, 1), dtype=np.uint8),
        np.ones((1, 1), dtype=np.uint8),
    )
    figures = result.figures()
    assert (figures["precision@radius2"], figures["recall@radius2"]) == (0.5, 0.5)
    assert figures["empty@radius2"] == 0.5
    # At distance 0 only the first query has an item.
    assert result.curve.precision[0] == 1
    assert result.curve.recall[0] == 0.5


@given(width=st.sampled_from([1, 2, 8, 16]), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_histograms_count_what_loops_count(width: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 256, (40, width), dtype=np.uint8)
    labels = some_labels(40, generator, classes=80)
    groups, gain_counts = hamming_groups(codes[:6], codes[6:], labels[:6], labels[6:])
    distances = hamming_distances(codes[:6], codes[6:])
    shared = labels[:6].astype(int) @ labels[6:].T
    for query in range(6):
        for distance in range(width * 8 + 1):
            there = shared[query][distances[query] == distance]
            assert groups.counts[query, distance] == len(there)
            assert groups.relevant[query, distance] == (there > 0).sum()
            assert groups.gains[query, distance] == there.sum()
        expected = np.bincount(shared[query], minlength=gain_counts.shape[1])
        assert np.array_equal(gain_counts[query], expected)
    assert np.array_equal(relevant_totals(labels[:6], labels[6:]), (shared > 0).sum(axis=1))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_shuffling_the_database_changes_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 4, (160, 1), dtype=np.uint8)
    vectors = generator.standard_normal((12, 6)).astype(np.float32)[generator.integers(0, 12, 160)]
    labels = some_labels(160, generator)
    labels[:, 0] = 1
    order = generator.permutation(150)
    for items, evaluate in ((codes, evaluate_codes), (vectors, evaluate_vectors)):
        queries, database = items[:10], items[10:]
        one = evaluate(queries, database, labels[:10], labels[10:])
        other = evaluate(queries, database[order], labels[:10], labels[10:][order])
        assert one.figures() == other.figures()
        assert np.array_equal(one.curve.precision, other.curve.precision)


def test_perfect_codes_have_one() -> None:
    labels = np.eye(4, dtype=np.uint8)[np.random.default_rng(1).integers(0, 4, 60)]
    codes = (labels * 255).astype(np.uint8)
    figures = evaluate_codes(codes[:8], codes[8:], labels[:8], labels[8:]).figures()
    for name in ("mAP@all", "mAP@100", "mAP@100 (recall-normalised)", "P@1", "NDCG@100"):
        assert figures[name] == pytest.approx(1)
    assert figures["precision@radius2"] == figures["recall@radius2"] == 1


def test_vectors_of_signs_have_the_figures_of_their_codes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = np.random.default_rng(2)
    # With 16 or 64 bits the length is 4 or 8, so unit vectors and cosines are exact.
    signs = generator.choice([-1.0, 1.0], (300, 64)).astype(np.float32)
    labels = some_labels(300, generator)
    by_code = evaluate_codes(binarize(signs[:20]), binarize(signs[20:]), labels[:20], labels[20:])
    monkeypatch.setattr(cosine_groups, "COSINES", 1000)
    by_cosine = evaluate_vectors(signs[:20] * 3, signs[20:], labels[:20], labels[20:])
    for name, value in by_cosine.figures().items():
        assert by_code.figures()[name] == pytest.approx(value, abs=1e-12), name
    assert np.array_equal(by_code.curve.distances, by_cosine.curve.distances)
    assert np.allclose(by_code.curve.precision, by_cosine.curve.precision)
    assert np.allclose(by_code.curve.recall, by_cosine.curve.recall)


def test_negative_cosines_rank_below_positive_ones() -> None:
    queries = np.array([[1.0, 0.0]])
    database = np.array([[-1.0, 0.1], [1.0, 0.1], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    labels = np.array([[0], [1], [1], [0], [1]], dtype=np.uint8)
    figures = evaluate_vectors(queries, database, np.ones((1, 1), np.uint8), labels).figures()
    assert figures["mAP@all"] == pytest.approx(1)
    assert "precision@radius2" not in figures


def test_chance_by_hand() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=np.uint8)
    assert chance_mean_average_precision(labels) == pytest.approx((3 / 4 + 1 / 4) / 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_codes": np.zeros((2, 4), np.uint8)}, "bits of the query codes: 32, of the data"),
        ({"query_labels": np.ones((3, 2))}, "rows of the query codes: 2, of the query labels: 3"),
        ({"database_labels": np.ones((4, 2))}, "rows of the database codes: 5, of the database l"),
        ({"query_labels": np.ones((2, 3))}, "classes of the query labels: 3, of the database's: 2"),
        ({"query_labels": np.full((2, 2), 7)}, "query labels holds 7"),
        ({"query_labels": np.zeros((2, 2))}, "no query shares a label"),
        ({"query_codes": np.zeros((2, 2))}, "query codes: float64 of shape"),
    ],
)
def test_bad_input_is_named(change: dict[str, npt.NDArray[Any]], message: str) -> None:
    given = {
        "query_codes": np.zeros((2, 2), np.uint8),
        "database_codes": np.zeros((5, 2), np.uint8),
        "query_labels": np.ones((2, 2), np.uint8),
        "database_labels": np.ones((5, 2), np.uint8),
    }
    with pytest.raises(DataError, match=message):
        evaluate_codes(**(given | change))


def test_bad_vectors_are_named() -> None:
    ones = np.ones((3, 4), dtype=np.float32)
    labels = np.ones((3, 1), dtype=np.uint8)
    with pytest.raises(DataError, match="columns of the query vectors: 2, of the database's: 4"):
        evaluate_vectors(ones[:, :2], ones, labels, labels)
    with pytest.raises(DataError, match="rows of the query vectors: 2, of the query labels: 3"):
        evaluate_vectors(ones[:2], ones, labels, labels)
    with pytest.raises(DataError, match="no query shares a label"):
        evaluate_vectors(ones, ones, labels * 0, labels)
    with pytest.raises(DataError, match="query labels: no row"):
        evaluate_codes(np.zeros((0, 1), np.uint8), np.zeros((3, 1), np.uint8), labels[:0], labels)
