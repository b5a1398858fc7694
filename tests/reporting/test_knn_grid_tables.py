"""The grid of votes as plots data and as metrics, from a grid small enough to check by eye."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.reporting.knn_grid import (
    best_votes,
    vote_comparison,
    with_params,
    write_grid,
)


def row(K: int, vote: str, tau: float | None, knn: float, hybrid: float) -> dict[str, Any]:
    return {
        **{"distance": "hamming", "K": K, "vote": vote, "tau": tau, "hybrid_weight": 0.5},
        **{"map_knn": knn, "map_hybrid": hybrid},
    }


def figures(val: float, test: float) -> dict[str, Any]:
    return {"threshold": {"tuned": 0.3}, "val": {"mAP": val}, "test": {"mAP": test}}


TRIED: dict[str, Any] = {
    "rows": [
        row(1, "rank", None, 0.25, 0.5),
        row(5, "rank", None, 0.5, 0.625),
        row(5, "softmax", 0.07, 0.75, 0.6),
    ],
    "best": {
        "knn": {
            "setting": row(5, "softmax", 0.07, 0.75, 0.0)
            | {"hybrid_weight": None, "map_hybrid": None},
            "figures": figures(0.75, 0.1234567),
        },
        "hybrid": {"setting": row(5, "rank", None, 0.5, 0.625), "figures": figures(0.625, 0.5)},
    },
}
OWN = {"knn": figures(0.5, 0.4), "hybrid": figures(0.625, 0.45), "mlp": figures(0.9, 0.9)}


def knn_params(**changes: Any) -> KnnParams:
    plan = {
        **{"K": 5, "distance": "hamming", "vote": "rank", "tau": 0.07, "threshold": 0.5},
        **{"shortlist": 10, "hybrid_weight": 0.5, "top_n_tags": 2},
    }
    return KnnParams.model_validate(plan | changes)


GRID = with_params(TRIED, knn_params(), OWN)


def test_a_setting_of_the_grid_is_told_once_and_is_not_better_than_the_best() -> None:
    own = row(5, "rank", None, 0.5, 0.625)
    assert with_params(TRIED, knn_params(), OWN) == {**TRIED, "own": own}


def test_a_setting_beside_the_grid_is_one_more_row_and_may_be_the_best() -> None:
    knn = knn_params(K=7, vote="softmax", tau=0.11, hybrid_weight=0.4)
    better = {"knn": figures(0.875, 0.8), "hybrid": figures(0.5, 0.45)}
    grid = with_params(TRIED, knn, better)
    own = row(7, "softmax", 0.11, 0.875, 0.5) | {"hybrid_weight": 0.4}
    assert grid["own"] == own
    assert grid["rows"] == [*TRIED["rows"], own]
    alone = own | {"hybrid_weight": None, "map_hybrid": None}
    assert grid["best"] == {
        "knn": {"setting": alone, "figures": figures(0.875, 0.8)},
        "hybrid": TRIED["best"]["hybrid"],
    }
    assert [one["K"] for one in TRIED["rows"]] == [1, 5, 5], "what was read stays as it is"


def test_without_a_classifier_and_a_grid_the_setting_stands_alone() -> None:
    grid = with_params({"rows": [], "best": {}}, knn_params(), {"knn": figures(0.25, 0.2)})
    own = row(5, "rank", None, 0.25, 0.0) | {"hybrid_weight": None, "map_hybrid": None}
    assert grid == {
        "rows": [own],
        "own": own,
        "best": {"knn": {"setting": own, "figures": figures(0.25, 0.2)}},
    }


def test_every_row_and_the_best_of_each_k(
    tmp_path: Path, read_csv: Callable[[Path], list[list[str]]]
) -> None:
    write_grid(tmp_path, GRID)
    assert read_csv(tmp_path / "knn_grid.csv") == [
        ["distance", "K", "vote", "tau", "hybrid_weight", "map_knn", "map_hybrid"],
        ["hamming", "1", "rank", "", "0.5", "0.25", "0.5"],
        ["hamming", "5", "rank", "", "0.5", "0.5", "0.625"],
        ["hamming", "5", "softmax", "0.07", "0.5", "0.75", "0.6"],
    ]
    assert read_csv(tmp_path / "knn_by_neighbours.csv") == [
        ["K", "knn"],
        ["1", "0.25"],
        ["5", "0.75"],
    ]


def test_the_best_by_predictor() -> None:
    assert best_votes(GRID) == {
        "knn_best": {"val": {"mAP": 0.75}, "test": {"mAP": 0.123457}},
        "hybrid_best": {"val": {"mAP": 0.625}, "test": {"mAP": 0.5}},
    }


def test_both_settings_side_by_side() -> None:
    table = vote_comparison(OWN, GRID)
    assert table["knn"]["params"] == {
        "setting": {"distance": "hamming", "K": 5, "vote": "rank", "hybrid_weight": 0.5},
        "val": {"mAP": 0.5},
        "test": {"mAP": 0.4},
    }
    assert table["knn"]["best"] == {
        "setting": {"distance": "hamming", "K": 5, "vote": "softmax", "tau": 0.07},
        "val": {"mAP": 0.75},
        "test": {"mAP": 0.123457},
    }
    assert table["hybrid"]["best"]["setting"]["hybrid_weight"] == 0.5
