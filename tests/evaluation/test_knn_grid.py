"""The grid of votes on val: each row is what a search of its own would say."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.arrays import Labels
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_head, predict
from siglip2_multimodal_hash.evaluation.knn_grid import (
    GridRow,
    KnnGrid,
    evaluate_grid,
    grid_settings,
)
from siglip2_multimodal_hash.evaluation.searched_split import SearchedSplit
from siglip2_multimodal_hash.params import Flat, Hnsw, KnnGridParams, KnnParams, Multihash
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.index_kinds import Kind
from siglip2_multimodal_hash.retrieval.search import find_neighbours
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.retrieval.voting import sparse_labels

COUNT, CLASSES = 90, 4
ROWS = SplitRows(
    train=np.arange(0, COUNT, 3),
    val=np.arange(1, COUNT, 3),
    test=np.arange(2, COUNT, 3),
    database=np.arange(0, COUNT, 3),
)
LABELS = (np.random.default_rng(5).random((COUNT, CLASSES)) < 0.35).astype(np.uint8)
LABELS[:3] = 1


def knn_params(**changes: Any) -> KnnParams:
    plan = {
        **{"K": 4, "distance": "hamming", "vote": "softmax", "tau": 0.07, "threshold": 0.5},
        **{"shortlist": 10, "hybrid_weight": 0.4, "top_n_tags": 2},
    }
    return KnnParams.model_validate(plan | changes)


def grid_params(**changes: Any) -> KnnGridParams:
    plan = {
        **{"K": [1, 5, 20], "distance": ["hamming", "hybrid", "cosine", "asymmetric", "whitened"]},
        **{"vote": ["uniform", "softmax", "rank", "threshold"], "tau": [0.05, 0.3]},
        **{"hybrid_weight": [0.2, 0.8]},
    }
    return KnnGridParams.model_validate(plan | changes)


def some_codes(*, bits: bool = True, scores: bool = True) -> HeadCodes:
    generator = np.random.default_rng(6)
    signal = (2.0 * LABELS - 1) @ generator.standard_normal((CLASSES, 16))
    soft = np.tanh(0.3 * signal + 0.5 * generator.standard_normal(signal.shape)).astype(np.float32)
    noisy = (0.5 * LABELS + 0.5 * generator.random(LABELS.shape)).astype(np.float32)
    packed = np.packbits(soft > 0, axis=1) if bits else None
    return HeadCodes(soft if bits else unit_vectors(soft), packed, noisy if scores else None)


def searched(
    codes: HeadCodes, grid: KnnGridParams, labels: Labels = LABELS, kind: Kind | None = None
) -> KnnGrid:
    searchable = codes.searchable()[ROWS.database]
    index = build_index(searchable, kind) if kind else build_index(searchable)
    return evaluate_grid(
        codes, index, labels, ROWS, grid, shortlist=10, threshold=0.5, top_n_tags=2
    )


def setting_of(row: GridRow) -> KnnParams:
    return knn_params(
        distance=row.distance,
        K=row.K,
        vote=row.vote,
        tau=row.tau or 1.0,
        hybrid_weight=row.hybrid_weight or 0.4,  # None for the vote alone
    )


def val_map(scores: npt.NDArray[np.float32]) -> float:
    return mean_average_precision(scores, LABELS[ROWS.val]).value


def test_every_row_is_a_search_of_its_own() -> None:
    codes = some_codes()
    found = searched(codes, grid_params())
    index = build_index(codes.searchable()[ROWS.database])
    # By four distances 3 K, by the shortlist of 10 only 2; 5 votes; 2 weights.
    assert len(found.rows) == (3 + 3 + 3 + 3 + 2) * 5 * 2
    for row in found.rows:
        scores = predict(codes, index, LABELS, ROWS.database, ROWS.val, setting_of(row)).scores
        assert row.map_knn == val_map(scores["knn"])
        assert row.map_hybrid == val_map(scores["hybrid"])


def test_the_best_is_chosen_on_val_and_evaluated_on_test() -> None:
    codes = some_codes()
    found = searched(codes, grid_params())
    assert set(found.best) == {"knn", "hybrid"}
    index = build_index(codes.searchable()[ROWS.database])
    for name in ("knn", "hybrid"):
        row, figures = found.best[name]
        value = f"map_{name}"
        assert getattr(row, value) == max(getattr(one, value) for one in found.rows)
        expected = evaluate_head(codes, index, LABELS, ROWS, setting_of(row)).figures[name]
        assert figures == expected
        assert figures["val"]["mAP"] == getattr(row, value)


@pytest.mark.parametrize(
    ("kind", "differs"), [(Hnsw(M=2, ef_construction=2, ef_search=1), True), (Flat(), False)]
)
def test_fewer_neighbours_are_those_that_a_search_for_them_finds(kind: Kind, differs: bool) -> None:
    codes = some_codes()
    index = build_index(codes.searchable()[ROWS.database], kind)
    queries, database = codes.rows(ROWS.val), codes.rows(ROWS.database)
    labels = sparse_labels(LABELS[ROWS.database])
    split = SearchedSplit(queries, database, None, index, LABELS[ROWS.val], labels, 10, 0.5)
    more, fewer = split.neighbours("hamming", 20), split.neighbours("hamming", 5)
    itself = find_neighbours(index, queries, database, distance="hamming", K=5, shortlist=10)
    assert np.array_equal(fewer.rows, itself.rows)
    assert np.array_equal(fewer.similarities, itself.similarities)
    assert np.array_equal(fewer.rows, more.rows[:, :5]) != differs
    # A distance is searched once for all numbers of neighbours, but for graphs.
    assert np.shares_memory(fewer.rows, more.rows) != differs


def test_labels_of_test_choose_nothing() -> None:
    codes = some_codes()
    before = searched(codes, grid_params())
    changed = LABELS.copy()
    changed[ROWS.test] = 1 - changed[ROWS.test]
    after = searched(codes, grid_params(), changed)
    for name, (row, figures) in before.best.items():
        assert after.best[name][0] == row
        assert after.best[name][1]["val"] == figures["val"]
        assert after.best[name][1]["test"] != figures["test"]
    assert after.rows == before.rows


def test_settings_by_hand() -> None:
    grid = grid_params(K=[2, 50], distance=["hamming", "cosine"], vote=["softmax", "rank"])
    assert grid_settings(grid, most=30, shortlist=10, has_bits=True) == [
        GridRow("cosine", 2, "rank", None),
        GridRow("cosine", 2, "softmax", 0.05),
        GridRow("cosine", 2, "softmax", 0.3),
        GridRow("hamming", 2, "rank", None),
        GridRow("hamming", 2, "softmax", 0.05),
        GridRow("hamming", 2, "softmax", 0.3),
    ]
    twice = grid_params(K=[4, 4], distance=["hamming"], vote=["softmax"], tau=[0.07])
    once = [GridRow("hamming", 4, "softmax", 0.07)]
    assert grid_settings(twice, most=30, shortlist=10, has_bits=True) == once


def test_an_index_of_pieces_of_codes_is_searched_by_codes_alone() -> None:
    found = searched(some_codes(), grid_params(), kind=Multihash(nhash=4, b=4, nflip=1))
    assert {row.distance for row in found.rows} == {"hamming", "hybrid"}


def test_without_bits_or_classifier_there_is_less() -> None:
    found = searched(some_codes(bits=False), grid_params())
    assert {row.distance for row in found.rows} == {"cosine"}
    found = searched(some_codes(scores=False), grid_params())
    assert set(found.best) == {"knn"}
    assert {(row.hybrid_weight, row.map_hybrid) for row in found.rows} == {(None, None)}


def test_where_no_distance_is_possible_nothing_is_tried() -> None:
    found = searched(some_codes(bits=False), grid_params(distance=["hamming", "hybrid"]))
    assert (found.rows, found.best) == ([], {})


def test_the_json_is_plain() -> None:
    found = searched(some_codes(), grid_params()).as_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found["rows"][0]) == {
        *("distance", "K", "vote", "tau", "hybrid_weight", "map_knn", "map_hybrid")
    }
    assert found["best"]["knn"]["figures"]["val"]["mAP"] > 0
