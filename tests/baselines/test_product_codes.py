"""Product quantisation at the bytes of a code: FAISS's distances, the house's ties and figures."""

import dataclasses
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.baselines.product_codes import (
    evaluate_product_codes,
    fit_product_codes,
    nearest_asymmetric,
)
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.heads import SplitRows
from siglip2_multimodal_hash.evaluation.protocol import evaluate_retrieval
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.retrieval.codes import unit_vectors

BITS = 16
KNN = KnnParams(
    K=5,
    distance="hamming",
    vote="softmax",
    tau=0.07,
    threshold=0.5,
    shortlist=10,
    hybrid_weight=0.5,
    top_n_tags=2,
)


def some_units(count: int = 400, dim: int = 12, seed: int = 0) -> npt.NDArray[np.float32]:
    return unit_vectors(np.random.default_rng(seed).standard_normal((count, dim)))


def test_a_code_has_as_many_bytes_as_the_bits() -> None:
    units = some_units(dim=20)
    for bits in (16, 32, 64, 128):
        codes = fit_product_codes(units, bits, seed=0).encode(units)
        assert codes.dtype == np.uint8
        assert codes.shape == (len(units), bits // 8)


def test_each_part_is_replaced_by_the_nearest_centroid() -> None:
    units = some_units()
    fitted = fit_product_codes(units, BITS, seed=0)
    centroids = faiss.vector_to_array(fitted.quantiser.centroids).reshape(2, 256, 6)
    codes = fitted.encode(units)
    for part in range(2):
        cut = units[:, 6 * part : 6 * part + 6]
        squares = np.square(cut[:, None] - centroids[part]).sum(axis=2)
        assert np.array_equal(codes[:, part], squares.argmin(axis=1))
    expected = np.hstack([centroids[0][codes[:, 0]], centroids[1][codes[:, 1]]])
    assert np.array_equal(fitted.decode(codes), expected)


def test_dimensions_that_the_parts_do_not_divide_are_padded() -> None:
    units = some_units(dim=13)
    fitted = fit_product_codes(units, 32, seed=0)
    assert fitted.quantiser.d == 16
    decoded = fitted.decode(fitted.encode(units))
    assert decoded.shape == units.shape
    assert np.square(decoded - units).sum(axis=1).mean() < 0.2
    assert np.abs(fitted.quantiser.decode(fitted.encode(units))[:, 13:]).max() == 0


def test_more_bytes_than_dimensions_keep_everything() -> None:
    """One part a dimension, 256 values of each: nothing to lose."""
    units = some_units(count=256, dim=3)
    decoded = fit_product_codes(units, 64, seed=0)
    np.testing.assert_allclose(decoded.decode(decoded.encode(units)), units, atol=0.02)


def test_neighbours_and_distances_are_those_of_faiss() -> None:
    units, queries = some_units(count=600), some_units(count=50, seed=1)
    fitted = fit_product_codes(units, BITS, seed=0)
    index = faiss.IndexPQ(12, 2, 8)
    index.pq = fitted.quantiser
    index.is_trained = True
    index.add(units)
    squares, rows = index.search(queries, 20)
    found = nearest_asymmetric(queries, fitted.decode(fitted.encode(units)), 20)
    np.testing.assert_allclose(found.similarities, 1 - squares / 4, atol=1e-6)
    # But for the order of items at the same distance.
    gaps = np.diff(squares, axis=1, prepend=-1, append=5) > 1e-5
    clear = gaps[:, :-1] & gaps[:, 1:]
    assert clear.mean() > 0.9
    assert np.array_equal(found.rows[clear], rows[clear])


def test_equal_codes_tie_and_come_in_row_order() -> None:
    decoded = np.array([[0.5, 0], [0.6, 0], [0.5, 0], [0.6, 0], [-1, 0]], dtype=np.float32)
    found = nearest_asymmetric(np.array([[1, 0]], dtype=np.float32), decoded, 5)
    assert found.rows.tolist() == [[1, 3, 0, 2, 4]]
    expected = 1 - np.array([0.16, 0.16, 0.25, 0.25, 4]) / 4
    np.testing.assert_allclose(found.similarities[0], expected, atol=1e-6)
    for one, other in ((0, 1), (2, 3)):
        assert found.similarities[0, one] == found.similarities[0, other]


def test_shorter_items_are_not_taken_for_nearer_ones() -> None:
    """By angle the first would be nearest, by product the third."""
    decoded = np.array([[0.1, 0], [0.8, 0.1], [1.8, 0.5]], dtype=np.float32)
    found = nearest_asymmetric(np.array([[1, 0]], dtype=np.float32), decoded, 3)
    assert found.rows.tolist() == [[1, 0, 2]]


def test_a_query_of_zeros_is_answered() -> None:
    decoded = np.array([[0.6, 0], [0, 0.2]], dtype=np.float32)
    found = nearest_asymmetric(np.zeros((1, 2), dtype=np.float32), decoded, 2)
    assert found.rows.tolist() == [[1, 0]]
    np.testing.assert_allclose(found.similarities, [[1 - 0.01, 1 - 0.09]], atol=1e-6)


@pytest.fixture
def data() -> dict[str, Any]:
    generator = np.random.default_rng(2)
    labels = (generator.random((600, 4)) < 0.3).astype(np.uint8)
    vectors = (2.0 * labels - 1) @ generator.standard_normal((4, 12))
    vectors += generator.standard_normal(vectors.shape)
    number = np.arange(600) % 6
    train = np.flatnonzero(number > 1)
    rows = SplitRows(train, np.flatnonzero(number == 0), np.flatnonzero(number == 1), train)
    return {"vectors": vectors.astype(np.float32), "labels": labels, "rows": rows}


def test_retrieval_is_by_distance_with_ties_in_expectation(data: dict[str, Any]) -> None:
    """AP over all items of one distance, averaged over every order of them, query by query."""
    rows: SplitRows = data["rows"]
    units, labels = unit_vectors(data["vectors"]), data["labels"]
    found = evaluate_product_codes(**data, knn=KNN, bits=BITS, seed=3)["retrieval"]["test"]
    fitted = fit_product_codes(units[rows.train], BITS, 3)
    decoded = fitted.decode(fitted.encode(units[rows.train])).astype(np.float64)
    values = []
    for query in rows.test:
        relevant = (labels[rows.train] & labels[query]).any(axis=1)
        if not relevant.any():
            continue
        squares = np.square(decoded - units[query]).sum(axis=1).round(6)
        hits, seen, total = 0, 0, 0.0
        for square in np.unique(squares):
            group = relevant[squares == square]
            n, r = len(group), int(group.sum())
            for place in range(1, n + 1):
                before = (place - 1) * (r - 1) / (n - 1) if n > 1 else 0
                total += r / n * (hits + 1 + before) / (seen + place)
            hits, seen = hits + r, seen + n
        values.append(total / hits)
    assert found["mAP@all"] == pytest.approx(np.mean(values), abs=1e-5)


def test_figures_are_those_of_a_code_and_near_the_float_bound(data: dict[str, Any]) -> None:
    figures = evaluate_product_codes(**data, knn=KNN, bits=BITS, seed=3)
    assert set(figures) == {"knn", "retrieval"}
    assert set(figures["knn"]) == {"threshold", "val", "test"}
    again = evaluate_product_codes(**data, knn=KNN, bits=BITS, seed=3)
    assert again == figures
    rows: SplitRows = data["rows"]
    vectors, labels = data["vectors"], data["labels"]
    whole = evaluate_retrieval(
        vectors[rows.test], vectors[rows.train], labels[rows.test], labels[rows.train]
    ).figures()["mAP@all"]
    chance = figures["retrieval"]["test"]["chance"]
    assert chance + 0.1 < figures["retrieval"]["test"]["mAP@all"] < whole + 0.02


def test_queries_inside_the_database_never_find_themselves(data: dict[str, Any]) -> None:
    rows: SplitRows = data["rows"]
    wider = dataclasses.replace(rows, database=np.union1d(rows.train, rows.val))
    figures = evaluate_product_codes(**data | {"rows": wider}, knn=KNN, bits=BITS, seed=3)
    alone = evaluate_product_codes(**data, knn=KNN, bits=BITS, seed=3)
    assert figures["retrieval"]["val"] == alone["retrieval"]["val"]
    assert figures["knn"]["val"]["mAP"] == alone["knn"]["val"]["mAP"]
    assert figures["retrieval"]["test"] != alone["retrieval"]["test"]


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="255 training vectors are fewer than 256 centroids"):
        fit_product_codes(some_units(count=255), BITS, seed=0)
    with pytest.raises(InputError, match=r"hash\.bits = 12: must be a positive multiple of 8"):
        fit_product_codes(some_units(), 12, seed=0)
    with pytest.raises(DataError, match="dimensions of the vectors: 3, of the training: 12"):
        fit_product_codes(some_units(), BITS, seed=0).encode(np.ones((1, 3), dtype=np.float32))
    with pytest.raises(DataError, match="training vectors holds NaN"):
        fit_product_codes(some_units() * np.float32(np.nan), BITS, seed=0)
