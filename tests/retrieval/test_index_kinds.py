"""Every kind of index: its neighbours against NumPy, whatever the batch, the threads, the ties."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest
from faiss.contrib.inspect_tools import get_invlist
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.params import Flat, Hnsw, Ivf, Multihash
from siglip2_multimodal_hash.retrieval import hamming as hamming_module
from siglip2_multimodal_hash.retrieval.codes import hamming_distances, unit_vectors
from siglip2_multimodal_hash.retrieval.index import CodeIndex, build_index
from siglip2_multimodal_hash.retrieval.index_kinds import Kind
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours, SoftAndPacked
from siglip2_multimodal_hash.retrieval.search import (
    find_neighbours,
    search_cosine,
    search_hamming,
    search_hybrid,
)

Codes = npt.NDArray[np.uint8]
# With all pieces of all bits flipped, every bucket is looked at.
HNSW = Hnsw(M=16, ef_construction=80, ef_search=64)
EXHAUSTIVE = Multihash(nhash=8, b=8, nflip=8)
BINARY: dict[str, Kind] = {
    "flat": Flat(),
    "ivf": Ivf(nlist=30, nprobe=4),
    "hnsw": Hnsw(M=8, ef_construction=40, ef_search=32),
    "multihash": Multihash(nhash=4, b=16, nflip=1),
}
FLOAT = {name: kind for name, kind in BINARY.items() if name != "multihash"}


def random_codes(count: int, seed: int, width: int = 8) -> Codes:
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


def clustered_codes(count: int, seed: int, width: int = 8, centres: int = 40) -> Codes:
    """Codes that differ from one of few centres in 8% of the bits: many ties, some equal codes."""
    generator = np.random.default_rng(seed)
    centre = generator.integers(0, 2, (centres, width * 8), dtype=np.uint8)
    flips = generator.random((count, width * 8)) < 0.08
    return np.packbits(centre[generator.integers(0, centres, count)] ^ flips, axis=1)


def by_numpy(queries: Codes, database: Codes, K: int) -> tuple[Any, Any]:
    """Distances and rows by XOR and popcount, one stable sort a query."""
    distances = np.bitwise_count(queries[:, None] ^ database[None]).sum(axis=2, dtype=np.int64)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :K]
    return np.take_along_axis(distances, rows, axis=1), rows


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def same(one: Neighbours, other: Neighbours) -> bool:
    return np.array_equal(one.rows, other.rows) and np.array_equal(
        one.similarities, other.similarities
    )


def recall(index: CodeIndex, queries: Codes, database: Codes, K: int) -> float:
    """Share of the K that are as near as the true K-th, so ties do not count as misses."""
    found, (distances, _) = search_hamming(index, queries, K), by_numpy(queries, database, K)
    furthest = (1 - distances[:, -1:] / (database.shape[1] * 8)).astype(np.float32)
    return float(((found.similarities >= furthest) & (found.rows >= 0)).mean())


@pytest.mark.parametrize("make", [random_codes, clustered_codes])
def test_numpy_flat_and_exhaustive_kinds_agree_on_10_000_codes(make: Any) -> None:
    codes, K = make(10_040, 1), 20
    queries, database = codes[:40], codes[40:]
    distances, rows = by_numpy(queries, database, K)
    assert np.array_equal(np.sort(hamming_distances(queries, database), axis=1)[:, :K], distances)
    flat = faiss.IndexBinaryFlat(64)
    flat.add(database)
    assert np.array_equal(flat.search(queries, K)[0], distances)
    for kind in (Flat(), EXHAUSTIVE, Ivf(nlist=20, nprobe=20)):
        found = search_hamming(build_index(database, kind), queries, K)
        assert np.array_equal(found.rows, rows), kind
        assert np.array_equal(found.similarities, (1 - distances / 64).astype(np.float32)), kind


@given(
    nhash=st.integers(1, 4),
    nflip=st.integers(0, 3),
    K=st.integers(1, 60),
    is_clustered=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40)
def test_multihash_misses_nothing_near(
    nhash: int, nflip: int, K: int, is_clustered: bool, seed: int
) -> None:
    """All items within nhash * (nflip + 1) - 1 come first; what is found is ordered, once each."""
    codes = clustered_codes(80, seed, 2, 4) if is_clustered else random_codes(80, seed, 2)
    queries, database = codes[:20], codes[20:]
    found = search_hamming(
        build_index(database, Multihash(nhash=nhash, b=0, nflip=nflip)), queries, K
    )
    distances, rows = by_numpy(queries, database, K)
    surely = distances <= nhash * (min(nflip, 16 // nhash) + 1) - 1
    assert np.array_equal(found.rows[surely], rows[surely])
    for query in range(len(queries)):
        own = found.rows[query][found.rows[query] >= 0]
        assert np.all(found.rows[query][len(own) :] == -1)
        keys = hamming_distances(queries[query : query + 1], database)[0][own] * 1000 + own
        assert np.all(np.diff(keys.astype(np.int64)) > 0)
        assert np.all(found.similarities[query][len(own) :] == 0)


@given(nprobe=st.integers(1, 6), K=st.integers(1, 60), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_ivf_is_flat_over_the_clusters_looked_at(nprobe: int, K: int, seed: int) -> None:
    codes = clustered_codes(80, seed, 2, 4)
    queries, database = codes[:20], codes[20:]
    index = build_index(database, Ivf(nlist=6, nprobe=nprobe))
    quantizer: Any = faiss.downcast_IndexBinary(index.faiss_index.quantizer)
    centres = faiss.vector_to_array(quantizer.xb)
    _, looked_at = by_numpy(queries, centres.reshape(6, 2), nprobe)
    members = [get_invlist(index.faiss_index.invlists, number)[0] for number in range(6)]
    found = search_hamming(index, queries, K)
    for query in range(len(queries)):
        there = np.sort(np.concatenate([members[number] for number in looked_at[query]]))
        _, rows = by_numpy(queries[query : query + 1], database[there], min(K, len(there)))
        assert found.rows[query].tolist() == there[rows[0]].tolist() + [-1] * (K - len(rows[0]))


@pytest.mark.parametrize("make", [random_codes, clustered_codes])
def test_hnsw_finds_nearly_all(make: Any) -> None:
    codes = make(3100, 2)
    queries, database = codes[:100], codes[100:]
    index = build_index(database, Hnsw(M=16, ef_construction=80, ef_search=128))
    assert recall(index, queries, database, 10) >= 0.95


def test_hnsw_of_few_codes_finds_all_and_in_order() -> None:
    """2,000 items of 20 codes: equal ones alone would be islands of the graph."""
    distinct = random_codes(20, 3)
    database = distinct[np.random.default_rng(3).integers(0, 20, 2000)]
    index = build_index(database, HNSW)
    assert index.faiss_index.ntotal == 20
    distances, rows = by_numpy(distinct, database, 150)
    found = search_hamming(index, distinct, 150)
    assert np.array_equal(found.rows, rows)
    assert np.array_equal(found.similarities, (1 - distances / 64).astype(np.float32))


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("make", [random_codes, clustered_codes])
def test_batches_and_threads_change_no_neighbour_of_codes(name: str, make: Any) -> None:
    codes = make(2150, 4)
    queries, database = codes[:150], codes[150:]
    index = build_index(database, BINARY[name])
    together = search_hamming(index, queries, 12)
    for count in (1, 2):
        with threads(count):
            assert same(search_hamming(build_index(database, BINARY[name]), queries, 12), together)
            for size in (1, 7):
                for start in range(0, 42, size):
                    part = slice(start, start + size)
                    found = search_hamming(index, queries[part], 12)
                    assert same(found, Neighbours(together.rows[part], together.similarities[part]))


@pytest.mark.parametrize("name", FLOAT)
def test_batches_and_threads_change_no_neighbour_of_vectors(name: str) -> None:
    generator = np.random.default_rng(5)
    vectors = generator.standard_normal((1600, 24)).astype(np.float32)
    vectors[900:] = vectors[200:900]
    units = unit_vectors(vectors)
    queries, database = units[:100] + 0.1, units[100:]
    index = build_index(database, FLOAT[name])
    together = search_cosine(index, queries, 9)
    for count in (1, 2):
        with threads(count):
            assert same(search_cosine(build_index(database, FLOAT[name]), queries, 9), together)
            for size in (1, 7):
                for start in range(0, 42, size):
                    part = slice(start, start + size)
                    found = search_cosine(index, queries[part], 9)
                    assert same(found, Neighbours(together.rows[part], together.similarities[part]))


def test_clusters_of_vectors_are_exact_if_all_are_looked_at() -> None:
    units = unit_vectors(np.random.default_rng(6).standard_normal((500, 16)))
    exact = search_cosine(build_index(units), units[:50], 8)
    assert same(search_cosine(build_index(units, Ivf(nlist=12, nprobe=12)), units[:50], 8), exact)
    graph = search_cosine(build_index(units, HNSW), units[:50], 8)
    assert (graph.rows == exact.rows).mean() >= 0.95


def test_neighbours_that_are_not_found_are_marked() -> None:
    """Two clusters of three items each; one is looked at, so five neighbours are not there."""
    low, high = [0b0, 0b1, 0b11], [0xFF, 0xFE, 0xFC]
    database = np.array([[code] for code in low + high], dtype=np.uint8)
    found = search_hamming(
        build_index(database, Ivf(nlist=2, nprobe=1)), np.array([[0], [0xFF]], dtype=np.uint8), 5
    )
    assert found.rows.tolist() == [[0, 1, 2, -1, -1], [3, 4, 5, -1, -1]]
    assert found.similarities.tolist() == [[1, 0.875, 0.75, 0, 0]] * 2
    # Only the buckets of the query's own halves: 0b11 shares its upper half, 0xFF none.
    found = search_hamming(
        build_index(database, Multihash(nhash=2, b=4, nflip=0)), database[[2]], 4
    )
    assert found.rows.tolist() == [[2, 1, 0, -1]]
    units = unit_vectors(np.array([[1, 0], [1, 0.1], [-1, 0], [-1, 0.1]]))
    by_cosine = search_cosine(build_index(units, Ivf(nlist=2, nprobe=1)), units[[0]], 3)
    assert by_cosine.rows.tolist() == [[0, 1, -1]]
    assert by_cosine.similarities[0, 2] == 0


def test_a_shortlist_with_gaps_is_ranked_without_them(caplog: pytest.LogCaptureFixture) -> None:
    packed = np.array([[0b0], [0b1], [0b11], [0xFF], [0xFE], [0xFC]], dtype=np.uint8)
    # The last bit says little, so 0b1 and 0b0 are nearly the same.
    soft = (np.unpackbits(packed, axis=1) * 2 - 1.0) * np.array([1] * 7 + [0.1])
    index, items = build_index(packed, Ivf(nlist=2, nprobe=1)), SoftAndPacked(soft, packed)
    with caplog.at_level(logging.WARNING):
        found = find_neighbours(index, items, items, distance="hybrid", K=4, shortlist=6)
    assert found.rows[:2].tolist() == [[0, 1, 2, -1], [1, 0, 2, -1]]
    assert found.rows[3:5].tolist() == [[3, 4, 5, -1], [4, 3, 5, -1]]
    assert np.all(found.similarities[:, 3] == 0)
    assert same(found, search_hybrid(index, packed, soft, soft, K=4, shortlist=6))
    assert "index.kind = ivf: 6 of 6 queries found fewer than K = 4 neighbours, 0" in caplog.text


def test_collapsed_codes_are_found_in_their_cluster() -> None:
    """With three codes most of the ten centres are equal, and one of those is looked at."""
    distinct = random_codes(3, 9)
    database = distinct[np.random.default_rng(9).integers(0, 3, 300)]
    found = search_hamming(build_index(database, Ivf(nlist=10, nprobe=1)), distinct, 20)
    assert np.array_equal(found.rows, by_numpy(distinct, database, 20)[1])


@pytest.mark.parametrize("name", BINARY)
def test_small_blocks_and_no_query(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = clustered_codes(360, 7)
    index = build_index(codes[60:], BINARY[name])
    expected = search_hamming(index, codes[:60], 5)
    monkeypatch.setattr(hamming_module, "RANGE_ITEMS", 1)
    monkeypatch.setattr(hamming_module, "GROUP_ITEMS", 1)
    assert same(search_hamming(index, codes[:60], 5), expected)
    assert search_hamming(index, codes[:0], 5).rows.shape == (0, 5)


def test_cosine_of_soft_codes_uses_the_kind() -> None:
    soft = np.random.default_rng(8).standard_normal((300, 16)).astype(np.float32)
    packed = np.packbits(soft > 0, axis=1)
    index, items = build_index(packed, Ivf(nlist=40, nprobe=1)), SoftAndPacked(soft, packed)
    found = find_neighbours(index, items, items, distance="cosine", K=20, shortlist=20)
    units = unit_vectors(soft)
    assert same(found, search_cosine(build_index(units, Ivf(nlist=40, nprobe=1)), soft, 20))
    assert (found.rows == -1).any()
