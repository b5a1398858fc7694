"""Exact search against brute force; ties by lowest row, whatever the batch and the threads."""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.retrieval import cosine as cosine_module
from siglip2_multimodal_hash.retrieval import hamming as hamming_module
from siglip2_multimodal_hash.retrieval import neighbours as neighbours_module
from siglip2_multimodal_hash.retrieval.codes import binarize, hamming_distances, unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours, SoftAndPacked
from siglip2_multimodal_hash.retrieval.search import (
    find_neighbours,
    search_asymmetric,
    search_cosine,
    search_hamming,
    search_hybrid,
    search_whitened,
)

Floats = npt.NDArray[np.float32]


def brute_force_hamming(
    queries: npt.NDArray[np.uint8], database: npt.NDArray[np.uint8], K: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    bits = np.unpackbits(queries, axis=1)[:, None] != np.unpackbits(database, axis=1)[None]
    distances = bits.sum(axis=2)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :K]
    return rows, np.take_along_axis(distances, rows, axis=1)


def brute_force_cosine(queries: Floats, database: Floats, K: int) -> Neighbours:
    left, right = unit_vectors(queries).astype(np.float64), unit_vectors(database)
    cosines = np.array([[(a * b).sum() for b in right.astype(np.float64)] for a in left])
    similarities = ((1 + cosines) / 2).clip(0, 1).astype(np.float32)
    rows = np.argsort(-similarities, axis=1, kind="stable")[:, :K]
    return Neighbours(rows, np.take_along_axis(similarities, rows, axis=1))


def clustered(count: int, bits: int, generator: np.random.Generator) -> Floats:
    """Soft codes around few centres, some equal: many ties."""
    centres = generator.choice([-1.0, 1.0], (4, bits))
    noise = generator.choice([0.0, 0.0, 0.5, -3.0], (count, bits), p=[0.5, 0.4, 0.05, 0.05])
    soft: Floats = (centres[generator.integers(0, 4, count)] * (1 + noise)).astype(np.float32)
    return soft


@pytest.fixture
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming_module, "RANGE_ITEMS", 1)
    monkeypatch.setattr(cosine_module, "COSINE_ELEMENTS", 1)
    monkeypatch.setattr(neighbours_module, "COSINE_ELEMENTS", 1)


@given(
    width=st.sampled_from([1, 2, 4, 8, 16]),
    K=st.integers(1, 40),
    is_clustered=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_hamming_search_is_brute_force_and_faiss(
    width: int, K: int, is_clustered: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    if is_clustered:
        codes = binarize(clustered(60, width * 8, generator))
    else:
        codes = generator.integers(0, 256, (60, width), dtype=np.uint8)
    queries, database = codes[:20], codes[20:]
    found = search_hamming(build_index(database), queries, K)
    rows, distances = brute_force_hamming(queries, database, K)
    assert np.array_equal(found.rows, rows)
    assert np.array_equal(found.similarities, (1 - distances / (width * 8)).astype(np.float32))
    index = faiss.IndexBinaryFlat(width * 8)
    index.add(database)
    assert np.array_equal(index.search(queries, K)[0], distances)
    assert np.array_equal(np.sort(hamming_distances(queries, database), axis=1)[:, :K], distances)


def test_ties_go_to_the_lowest_rows() -> None:
    database = np.array([[0b1], [0b0], [0b10], [0b0], [0b100]], dtype=np.uint8)
    found = search_hamming(build_index(database), np.zeros((1, 1), dtype=np.uint8), 4)
    assert found.rows.tolist() == [[1, 3, 0, 2]]
    assert found.similarities.tolist() == [[1, 1, 0.875, 0.875]]
    assert found.rows.dtype == np.int64
    assert found.similarities.dtype == np.float32


@pytest.mark.usefixtures("tiny_blocks")
def test_block_sizes_change_nothing() -> None:
    generator = np.random.default_rng(5)
    soft = clustered(120, 16, generator)
    queries, database = soft[:20], soft[20:]
    index = build_index(binarize(database))
    rows, _ = brute_force_hamming(binarize(queries), binarize(database), 7)
    assert np.array_equal(search_hamming(index, binarize(queries), 7).rows, rows)
    found = search_cosine(build_index(unit_vectors(database)), queries, 7)
    assert np.array_equal(found.rows, brute_force_cosine(queries, database, 7).rows)


def test_one_query_at_a_time_and_one_thread_change_nothing() -> None:
    generator = np.random.default_rng(6)
    database = generator.standard_normal((3000, 24)).astype(np.float32)
    database[1500:] = database[:1500]
    queries = generator.standard_normal((40, 24)).astype(np.float32)
    index = build_index(unit_vectors(database))
    together = search_cosine(index, queries, 9)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        for row in range(len(queries)):
            alone = search_cosine(index, queries[row : row + 1], 9)
            assert np.array_equal(alone.rows[0], together.rows[row])
            assert np.array_equal(alone.similarities[0], together.similarities[row])
    finally:
        faiss.omp_set_num_threads(threads)


@given(K=st.integers(1, 50), is_clustered=st.booleans(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_cosine_search_is_brute_force(K: int, is_clustered: bool, seed: int) -> None:
    generator = np.random.default_rng(seed)
    soft = clustered(60, 16, generator) if is_clustered else generator.normal(size=(60, 16))
    queries, database = soft[:10].astype(np.float32), soft[10:].astype(np.float32)
    found = search_cosine(build_index(unit_vectors(database)), queries, K)
    expected = brute_force_cosine(queries, database, K)
    assert np.array_equal(found.rows, expected.rows)
    assert np.array_equal(found.similarities, expected.similarities)


def test_a_database_of_equal_vectors_is_returned_in_order() -> None:
    database = np.ones((500, 8), dtype=np.float32)
    found = search_cosine(build_index(unit_vectors(database)), -database[:3], 4)
    assert found.rows.tolist() == [[0, 1, 2, 3]] * 3
    assert np.allclose(found.similarities, 0, atol=1e-7)


def test_cosine_and_hamming_similarity_agree_on_signs() -> None:
    signs = np.random.default_rng(7).choice([-1.0, 1.0], (50, 32)).astype(np.float32)
    codes = binarize(signs)
    by_code = search_hamming(build_index(codes), codes[:9], 50)
    by_cosine = search_cosine(build_index(unit_vectors(signs)), signs[:9], 50)
    assert np.allclose(by_code.similarities, by_cosine.similarities, atol=1e-6)


def test_hybrid_ranks_the_hamming_shortlist_by_cosine() -> None:
    generator = np.random.default_rng(8)
    soft = generator.standard_normal((80, 16)).astype(np.float32)
    queries, database = soft[:15], soft[15:]
    index = build_index(binarize(database))
    found = search_hybrid(index, binarize(queries), queries, database, K=5, shortlist=12)
    for row in range(len(queries)):
        shortlist = np.sort(search_hamming(index, binarize(queries), 12).rows[row])
        best = brute_force_cosine(queries[row : row + 1], database[shortlist], 5)
        assert np.array_equal(found.rows[row], shortlist[best.rows[0]])
        assert np.array_equal(found.similarities[row], best.similarities[0])


def test_hybrid_with_the_whole_database_is_cosine() -> None:
    soft = np.random.default_rng(9).standard_normal((40, 16)).astype(np.float32)
    codes, index = binarize(soft), build_index(binarize(soft))
    found = search_hybrid(index, codes, soft, soft, K=6, shortlist=200)
    expected = search_cosine(build_index(unit_vectors(soft)), soft, 6)
    assert np.array_equal(found.rows, expected.rows)


def test_asymmetric_weighs_the_bits_by_the_query() -> None:
    # By Hamming distance both items are one bit away; the query is less sure of the second one's.
    soft = np.array([[1, -1, 1, 1, 1, 1, 1, 1], [1, 1, -1, 1, 1, 1, 1, 1]], np.float32)
    query = np.array([[1, 0.9, 0.1, 1, 1, 1, 1, 1]], np.float32)
    database = SoftAndPacked(soft, binarize(soft))
    found = search_asymmetric(build_index(binarize(soft)), query, database, 2)
    length = np.sqrt(8 * (6 + 0.81 + 0.01))
    expected = [(6 + 0.9 + 1 - 1 - 0.1) / length, (6 + 0.1 - 0.9) / length]
    assert found.rows.tolist() == [[1, 0]]
    np.testing.assert_allclose(2 * found.similarities[0] - 1, expected, rtol=1e-6)


@pytest.mark.parametrize("bits", [16, 32, 64, 128])
def test_asymmetric_is_the_cosine_with_the_signs(bits: int) -> None:
    generator = np.random.default_rng(bits)
    soft = clustered(80, bits, generator)
    queries = generator.uniform(-1, 1, (7, bits)).astype(np.float32)
    found = search_asymmetric(
        build_index(binarize(soft)), queries, SoftAndPacked(soft, binarize(soft)), 9
    )
    signs = np.where(soft > 0, 1, -1).astype(np.float32)
    expected = brute_force_cosine(queries, signs, 9)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.similarities, expected.similarities)


def test_asymmetric_of_a_query_that_is_sure_of_all_bits_is_hamming() -> None:
    soft = clustered(60, 16, np.random.default_rng(3))
    codes, signs = binarize(soft), np.where(soft > 0, 1, -1).astype(np.float32)
    index = build_index(codes)
    found = search_asymmetric(index, signs[:5], SoftAndPacked(soft, codes), 20)
    expected = search_hamming(index, codes[:5], 20)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-6)


@pytest.mark.parametrize("distance", ["hamming", "cosine", "hybrid", "asymmetric", "whitened"])
def test_find_neighbours_searches_by_the_distance_named(distance: Any) -> None:
    soft = np.random.default_rng(10).standard_normal((60, 16)).astype(np.float32)
    items = SoftAndPacked(soft, binarize(soft))
    index = build_index(binarize(soft))
    found = find_neighbours(index, items, items, distance=distance, K=3, shortlist=10)
    expected = {
        "hamming": lambda: search_hamming(index, binarize(soft), 3),
        "cosine": lambda: search_cosine(build_index(unit_vectors(soft)), soft, 3),
        "hybrid": lambda: search_hybrid(index, binarize(soft), soft, soft, K=3, shortlist=10),
        "asymmetric": lambda: search_asymmetric(index, soft, items, 3),
        "whitened": lambda: search_whitened(index, soft, items, 3),
    }[distance]()
    assert np.array_equal(found.rows, expected.rows)
    if distance not in ("asymmetric", "whitened"):  # no metrics: an item may not be its nearest
        assert np.array_equal(found.rows[:, 0], np.arange(60))


def test_find_neighbours_without_a_hash_layer() -> None:
    units = unit_vectors(np.random.default_rng(11).standard_normal((30, 5)))
    items, index = SoftAndPacked(units, None), build_index(units)
    found = find_neighbours(index, items, items, distance="cosine", K=2, shortlist=1)
    assert np.array_equal(found.rows[:, 0], np.arange(30))
    with pytest.raises(InputError, match=r"knn\.distance = hamming: hash\.bits = 0"):
        find_neighbours(index, items, items, distance="hamming", K=2, shortlist=1)


def test_more_neighbours_than_items_is_refused() -> None:
    codes = np.zeros((10, 2), dtype=np.uint8)
    units = unit_vectors(np.ones((10, 16)))
    with pytest.raises(InputError, match=r"knn\.K = 11: the database has 10 items"):
        search_hamming(build_index(codes), codes, 11)
    with pytest.raises(InputError, match=r"knn\.K = 11: the database has 10 items"):
        search_cosine(build_index(units), units, 11)
    with pytest.raises(InputError, match=r"knn\.K = 11: the database has 10 items"):
        search_hybrid(build_index(codes), codes, units, units, K=11, shortlist=12)
    with pytest.raises(InputError, match=r"knn\.shortlist = 3: must be at least knn\.K = 5"):
        search_hybrid(build_index(codes), codes, units, units, K=5, shortlist=3)


def test_codes_of_another_width_are_refused() -> None:
    index = build_index(np.zeros((10, 2), dtype=np.uint8))
    with pytest.raises(DataError, match="bits of the query codes: 8, of the index: 16"):
        search_hamming(index, np.zeros((1, 1), dtype=np.uint8), 1)
    with pytest.raises(DataError, match="dimensions of the query vectors: 3, of the index: 5"):
        search_cosine(build_index(unit_vectors(np.ones((4, 5)))), np.ones((1, 3)), 1)


def test_no_query_has_no_neighbours() -> None:
    index = build_index(np.zeros((10, 2), dtype=np.uint8))
    assert search_hamming(index, np.zeros((0, 2), dtype=np.uint8), 3).rows.shape == (0, 3)
