"""The grid of votes: its rows and its curve for ``dvc plots``, and the best setting."""

from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.evaluation.heads import QUERY_SPLITS
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.reporting.plots import write_rows
from siglip2_multimodal_hash.reporting.tables import Json, rounded

COLUMNS = ("distance", "K", "vote", "tau", "hybrid_weight", "map_knn", "map_hybrid")
SETTING = COLUMNS[:5]
VOTING = ("knn", "hybrid")


def with_params(grid: Json, knn: KnnParams, figures: Json) -> Json:
    """The grid and the setting of params.yaml, which is tried by another stage.

    Args:
        grid: See :meth:`..evaluation.knn_grid.KnnGrid.as_json`.
        knn: That setting.
        figures: Of the head under it; see :func:`..evaluation.heads.evaluate_head`.

    Returns:
        ``own``, its row; ``rows`` with it, if it was not among them; and ``best``, where it takes
        the place of what is worse on val.
    """
    values: Json = {name: getattr(knn, name) for name in SETTING}
    values |= {} if knn.vote == "softmax" else {"tau": None}
    reached = {name: figures[name]["val"]["mAP"] if name in figures else None for name in VOTING}
    own = values | {f"map_{name}": value for name, value in reached.items()}
    if "hybrid" not in figures:
        own["hybrid_weight"] = None
    best = dict(grid["best"])
    for name, value in reached.items():
        if value is not None and (name not in best or value > best[name]["figures"]["val"]["mAP"]):
            setting = own if name == "hybrid" else own | {"hybrid_weight": None, "map_hybrid": None}
            best[name] = {"setting": setting, "figures": figures[name]}
    rows = grid["rows"]
    known = any(all(row[name] == own[name] for name in SETTING) for row in rows)
    return {"rows": rows if known else [*rows, own], "own": own, "best": best}


def write_grid(folder: Path, grid: Json) -> None:
    """Write ``knn_grid.csv``, every row, and ``knn_by_neighbours.csv``, the best of each K.

    Args:
        folder: Made where it is not there.
        grid: See :func:`with_params`.
    """
    rows = grid["rows"]
    write_rows(
        folder / "knn_grid.csv", COLUMNS, ([_cell(row[name]) for name in COLUMNS] for row in rows)
    )
    by_count = {K: [row for row in rows if row["K"] == K] for K in sorted({r["K"] for r in rows})}
    best = [(K, max(row["map_knn"] for row in these)) for K, these in by_count.items()]
    write_rows(folder / "knn_by_neighbours.csv", ("K", "knn"), best)


def best_votes(grid: Json) -> Json:
    """Scores of the val-best settings: ``knn_best`` and ``hybrid_best``, mAP by split.

    Args:
        grid: See :func:`with_params`.
    """
    metrics: Json = rounded(
        {
            f"{name}_best": {split: {"mAP": one["figures"][split]["mAP"]} for split in QUERY_SPLITS}
            for name, one in grid["best"].items()
        }
    )
    return metrics


def vote_comparison(figures: Json, grid: Json) -> Json:
    """The setting of params.yaml and the best one on val: setting and every figure of both.

    Args:
        figures: Of the head; see :func:`..evaluation.heads.evaluate_head`.
        grid: See :func:`with_params`.

    Returns:
        By predictor ``params`` and ``best``, each with ``setting``, ``val`` and ``test``.
    """
    return {
        name: {
            "params": {"setting": _setting(grid["own"]), **_splits(figures[name])},
            "best": {"setting": _setting(one["setting"]), **_splits(one["figures"])},
        }
        for name, one in grid["best"].items()
    }


def _splits(figures: Json) -> Json:
    return {split: rounded(figures[split]) for split in QUERY_SPLITS}


def _setting(row: Json) -> Json:
    """The parameters that the setting uses."""
    return {k: v for k, v in row.items() if not k.startswith("map_") and v is not None}


def _cell(value: Any) -> Any:
    return "" if value is None else value
