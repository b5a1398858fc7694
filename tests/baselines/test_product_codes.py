"""Product quantisation at the bytes of a code: FAISS's distances, the house's ties and figures."""

import dataclasses
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.arrays import Codes
from siglip2_multimodal_hash.baselines.exhaustive_search import (
    Searched,
    nearest,
    search_product_codes,
)
from siglip2_multimodal_hash.baselines.product_codes import ProductCodes, fit_product_codes
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.heads import SplitRows
from siglip2_multimodal_hash.evaluation.protocol import evaluate_retrieval
from siglip2_multimodal_hash.retrieval.codes import unit_vectors

BITS = 16
K = 5


def some_units(count: int = 400, dim: int = 12, seed: int = 0) -> npt.NDArray[np.float32]:
    return unit_vectors(np.random.default_rng(seed).standard_normal((count, dim)))


def decoded(fitted: ProductCodes, codes: Codes) -> npt.NDArray[np.float32]:
    """The centroids that codes name, one part after the other."""
    parts = [centroids[codes[:, part]] for part, centroids in enumerate(fitted.centroids)]
    whole: npt.NDArray[np.float32] = np.hstack(parts)
    return whole[:, : fitted.dim]


def test_a_code_has_as_many_bytes_as_the_bits() -> None:
    units = some_units(dim=20)
    for bits in (16, 32, 64, 128):
        codes = fit_product_codes(units, bits, seed=0).encode(units)
        assert codes.dtype == np.uint8
        assert codes.shape == (len(units), bits // 8)


def test_each_part_is_replaced_by_the_nearest_centroid() -> None:
    units = some_units()
    fitted = fit_product_codes(units, BITS, seed=0)
    codes = fitted.encode(units)
    for part in range(2):
        cut = units[:, 6 * part : 6 * part + 6]
        squares = np.square(cut[:, None] - fitted.centroids[part]).sum(axis=2)
        assert np.array_equal(codes[:, part], squares.argmin(axis=1))


def test_dimensions_that_the_parts_do_not_divide_are_padded() -> None:
    units = some_units(dim=13)
    fitted = fit_product_codes(units, 32, seed=0)
    assert fitted.quantiser.d == 16
    again = decoded(fitted, fitted.encode(units))
    assert again.shape == units.shape
    assert np.square(again - units).sum(axis=1).mean() < 0.2
    assert np.abs(fitted.centroids[-1][:, -3:]).max() == 0


def test_more_bytes_than_dimensions_keep_everything() -> None:
    """One part a dimension, 256 values of each: nothing to lose."""
    units = some_units(count=256, dim=3)
    fitted = fit_product_codes(units, 64, seed=0)
    np.testing.assert_allclose(decoded(fitted, fitted.encode(units)), units, atol=0.02)


def test_neighbours_and_distances_are_those_of_faiss() -> None:
    units, queries = some_units(count=600), some_units(count=50, seed=1)
    fitted = fit_product_codes(units, BITS, seed=0)
    index = faiss.IndexPQ(12, 2, 8)
    index.pq = fitted.quantiser
    index.is_trained = True
    index.add(units)
    squares, rows = index.search(queries, 20)
    similarities = fitted.similarities(queries, fitted.encode(units))
    # But for the order of items at the same distance.
    gaps = np.diff(squares, axis=1, prepend=-1, append=5) > 1e-5
    clear = gaps[:, :-1] & gaps[:, 1:]
    assert clear.mean() > 0.9
    for query, of_query in enumerate(similarities):
        found = nearest(of_query, 20)
        np.testing.assert_allclose(found.similarities[0], 1 - squares[query] / 4, atol=1e-6)
        there = clear[query]
        assert np.array_equal(found.rows[0][there], rows[query][there])


@pytest.mark.parametrize("dim", [12, 13])
def test_similarities_are_those_of_the_decoded_vectors(dim: int) -> None:
    """To the last digit of float32, but where float64 rounds to the next one."""
    units = some_units(count=3000, dim=dim)
    fitted = fit_product_codes(units[:400], BITS, seed=0)
    codes = fitted.encode(units)
    queries = np.vstack([some_units(count=30, dim=dim, seed=1), np.zeros((1, dim), np.float32)])
    found = fitted.similarities(queries, codes)
    whole = decoded(fitted, codes).astype(np.float64)
    squares = np.square(whole[None] - queries[:, None].astype(np.float64)).sum(axis=2)
    expected = (1 - squares / 4).clip(0, 1).astype(np.float32)
    np.testing.assert_allclose(found, expected, rtol=2**-23, atol=1e-9)
    assert (found == expected).mean() > 0.9999
    # A pair's similarity depends on nothing but the pair; equal codes tie.
    assert np.array_equal(found[3:4, 2500:], fitted.similarities(queries[3:4], codes[2500:]))
    twice = fitted.similarities(queries, np.vstack([codes[:5], codes[:5]]))
    assert np.array_equal(twice[:, :5], twice[:, 5:])


def test_the_nearest_come_in_row_order_where_they_tie() -> None:
    similarities = np.array([0.5, 0.75, 0.25, 0.75, 0.5, 0.5], dtype=np.float32)
    for count in range(1, 7):
        found = nearest(similarities, count)
        assert found.rows.tolist() == [[1, 3, 0, 4, 5, 2][:count]]
        assert np.array_equal(found.similarities[0], similarities[found.rows[0]])


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


def searched(data: dict[str, Any]) -> Searched:
    rows: SplitRows = data["rows"]
    units = unit_vectors(data["vectors"])
    fitted = fit_product_codes(units[rows.train], BITS, seed=3)
    return search_product_codes(fitted, units, data["labels"], rows, K)


def test_retrieval_is_by_distance_with_ties_in_expectation(data: dict[str, Any]) -> None:
    """AP over all items of one distance, averaged over every order of them, query by query."""
    rows: SplitRows = data["rows"]
    units, labels = unit_vectors(data["vectors"]), data["labels"]
    found = searched(data).retrieval["test"]
    fitted = fit_product_codes(units[rows.train], BITS, 3)
    items = decoded(fitted, fitted.encode(units[rows.train])).astype(np.float64)
    values = []
    for query in rows.test:
        relevant = (labels[rows.train] & labels[query]).any(axis=1)
        if not relevant.any():
            continue
        squares = np.square(items - units[query]).sum(axis=1).round(6)
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


def test_figures_are_of_test_and_near_the_float_bound(data: dict[str, Any]) -> None:
    found, again = searched(data), searched(data)
    assert set(found.retrieval) == {"test"}
    assert found.retrieval == again.retrieval
    rows: SplitRows = data["rows"]
    vectors, labels = data["vectors"], data["labels"]
    whole = evaluate_retrieval(
        vectors[rows.test], vectors[rows.train], labels[rows.test], labels[rows.train]
    ).figures()["mAP@all"]
    chance = found.retrieval["test"]["chance"]
    assert chance + 0.1 < found.retrieval["test"]["mAP@all"] < whole + 0.02


def test_queries_inside_the_database_never_find_themselves(data: dict[str, Any]) -> None:
    rows: SplitRows = data["rows"]
    wider = dataclasses.replace(rows, database=np.union1d(rows.train, rows.val))
    found, alone = searched(data | {"rows": wider}), searched(data)
    for split, same in (("val", True), ("test", False)):
        pair = found.neighbours[split].similarities, alone.neighbours[split].similarities
        assert np.array_equal(*pair) == same
    assert found.retrieval != alone.retrieval


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="255 training vectors are fewer than 256 centroids"):
        fit_product_codes(some_units(count=255), BITS, seed=0)
    with pytest.raises(InputError, match=r"hash\.bits = 12: must be a positive multiple of 8"):
        fit_product_codes(some_units(), 12, seed=0)
    with pytest.raises(DataError, match="dimensions of the vectors: 3, of the training: 12"):
        fit_product_codes(some_units(), BITS, seed=0).encode(np.ones((1, 3), dtype=np.float32))
    with pytest.raises(DataError, match="training vectors holds NaN"):
        fit_product_codes(some_units() * np.float32(np.nan), BITS, seed=0)
