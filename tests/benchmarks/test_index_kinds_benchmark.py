"""The benchmark of index kinds on few codes: every kind in the table, misses counted rightly."""

import json
import sys
from typing import Any

import faiss
import numpy as np
import pytest

from benchmarks import index_kinds
from benchmarks.index_kinds import clustered_codes, main, recall
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours


def run(monkeypatch: pytest.MonkeyPatch, capsys: Any, *words: str) -> tuple[str, list[Any]]:
    monkeypatch.setattr(sys, "argv", ["index_kinds.py", *words])
    threads = faiss.omp_get_max_threads()
    try:
        main()
    finally:
        faiss.omp_set_num_threads(threads)
    out = capsys.readouterr().out
    return out, json.loads(out.splitlines()[-1])["rows"]


def test_every_kind_is_compared_with_flat(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    out, rows = run(
        monkeypatch, capsys, "--sizes", "900", "1e3", "--queries", "20", "--most-hnsw", "900"
    )
    found = [(row["items"], row["kind"]) for row in rows]
    some = ["flat", "ivf", "ivf", *["multihash"] * 3]
    assert found == [(900, k) for k in [*some, "hnsw", "hnsw"]] + [(1000, k) for k in some]
    assert rows[0]["recall"] == rows[0]["speedup"] == 1
    assert all(row["recall"] > 0.5 for row in rows)
    assert "ivf nlist=30 nprobe=4 " in out


def test_what_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(index_kinds, "free_bytes", lambda: 900 * 100)
    out, rows = run(
        monkeypatch, capsys, "--sizes", "900", "1e4", "--queries", "9", "--only", "ivf", "hnsw"
    )
    assert [row["kind"] for row in rows] == ["flat", "ivf", "ivf"]
    assert "hnsw is left out: it needs" in out
    assert "10,000  flat is left out" in out


def test_ties_with_the_last_neighbour_are_found() -> None:
    exact = Neighbours(np.array([[0, 1]]), np.array([[1, 0.5]], dtype=np.float32))
    tied = Neighbours(np.array([[0, 7]]), np.array([[1, 0.5]], dtype=np.float32))
    missed = Neighbours(np.array([[7, -1]]), np.array([[0.5, 0]], dtype=np.float32))
    assert recall(tied, exact) == 1
    assert recall(missed, exact) == 0.5


def test_codes_are_clustered_and_seeded() -> None:
    codes = clustered_codes(2000, 64, seed=1)
    assert np.array_equal(codes, clustered_codes(2000, 64, seed=1))
    distances = np.bitwise_count(codes[:50, None] ^ codes[None]).sum(axis=2)
    near = np.sort(distances, axis=1)[:, 1]
    # Two items of a cluster differ in about 2 * 0.08 * 0.92 of the 64 bits, strangers in half.
    assert 4 < near.mean() < 9
    assert 26 < np.median(distances) < 33
