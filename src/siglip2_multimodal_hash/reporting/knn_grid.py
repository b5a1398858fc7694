"""The grid of votes: its rows and its curve for ``dvc plots``, and the best beside params.yaml."""

from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.reporting.plots import write_rows
from siglip2_multimodal_hash.reporting.tables import Json, rounded

COLUMNS = ("distance", "K", "vote", "tau", "hybrid_weight", "map_knn", "map_hybrid")
SPLITS = ("val", "test")


def write_grid(folder: Path, grid: Json) -> None:
    """Write ``knn_grid.csv``, every row, and ``knn_by_neighbours.csv``, the best of each K.

    Args:
        folder: Made where it is not there.
        grid: See :meth:`..evaluation.knn_grid.KnnGrid.as_json`.
    """
    rows = grid["rows"]
    write_rows(
        folder / "knn_grid.csv", COLUMNS, ([_cell(row[name]) for name in COLUMNS] for row in rows)
    )
    by_count = {K: [row for row in rows if row["K"] == K] for K in sorted({r["K"] for r in rows})}
    best = [(K, max(row["map_knn"] for row in these)) for K, these in by_count.items()]
    write_rows(folder / "knn_by_neighbours.csv", ("K", "knn"), best)


def best_votes(grid: Json) -> Json:
    """What the val-best settings reach: ``knn_best`` and ``hybrid_best``, mAP by split.

    Args:
        grid: See :meth:`..evaluation.knn_grid.KnnGrid.as_json`.
    """
    metrics: Json = rounded(
        {
            f"{name}_best": {split: {"mAP": one["figures"][split]["mAP"]} for split in SPLITS}
            for name, one in grid["best"].items()
        }
    )
    return metrics


def vote_comparison(figures: Json, grid: Json) -> Json:
    """The setting of params.yaml and the best one on val: setting and every figure of both.

    Args:
        figures: Of the head; see :func:`..evaluation.heads.evaluate_head`.
        grid: See :meth:`..evaluation.knn_grid.KnnGrid.as_json`.

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
    return {split: rounded(figures[split]) for split in SPLITS}


def _setting(row: Json) -> Json:
    """The parameters that the setting uses."""
    return {k: v for k, v in row.items() if not k.startswith("map_") and v is not None}


def _cell(value: Any) -> Any:
    return "" if value is None else value
