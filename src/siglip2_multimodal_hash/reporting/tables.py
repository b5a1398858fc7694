"""The figures that Git keeps: a short summary, the comparison with baselines, and all of them."""

from typing import Any

Json = dict[str, Any]

PREDICTORS = ("knn", "mlp", "hybrid")
BASELINE_COLUMNS = (*PREDICTORS, "zero_shot", "retrieval")
ROWS = (
    "fused",
    "direction_only",
    "image_only",
    "caption_only",
    "mlp",
    "zero_shot",
    "float",
    "itq",
    "pca_sign",
    "lsh",
    "chance",
)
RETRIEVAL = ("mAP@all", "mAP@1000", "P@10", "precision@radius2", "NDCG@100")
CODES = ("bit_entropy", "correlation", "distinct_share", "quantisation_error")
DECIMALS = 6


def summary_metrics(figures: Json, fit: Json) -> Json:
    """The figures to compare experiments by: what ``dvc exp show`` prints.

    Args:
        figures: Of the head; see :func:`..evaluation.heads.evaluate_head`.
        fit: The head's ``config.json``.

    Returns:
        By split and predictor mAP, and for test CF1 and OF1 at the threshold tuned on val;
        retrieval on test; code statistics; the best epoch.
    """
    summary: Json = {
        "val": {name: {"mAP": figures[name]["val"]["mAP"]} for name in PREDICTORS},
        "test": {name: _headline(figures[name]["test"]) for name in PREDICTORS},
        "retrieval": _chosen(figures["retrieval"]["test"], RETRIEVAL),
        "train": {"best_epoch": fit["best_epoch"]},
    }
    if "codes" in figures:
        summary["codes"] = _chosen(figures["codes"], CODES)
    metrics: Json = rounded(summary)
    return metrics


def baseline_metrics(figures: Json, baselines: Json) -> Json:
    """MAP of the head, of every baseline and of chance, on test: rows of one table.

    Returns:
        By row: ``knn``, ``mlp``, ``hybrid``, ``zero_shot`` (classification mAP) and ``retrieval``
        (mAP@all), as far as the row has them.
    """
    rows = {"fused": figures, **baselines}
    table = {name: _test_map(row) for name, row in rows.items()}
    table["chance"] = {
        "knn": figures["knn"]["test"]["mAP_chance"],
        "retrieval": figures["retrieval"]["test"]["chance"],
    }
    metrics: Json = rounded(table)
    return metrics


def details(figures: Json, baselines: Json) -> Json:
    """Every figure there is, val and test."""
    metrics: Json = rounded({"fused": figures, **baselines})
    return metrics


def rounded(value: Any) -> Any:
    """``value`` with its floats cut to six decimals: what is beyond is noise of the summation."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, DECIMALS) if isinstance(value, float) else value


def markdown_table(baselines: Json) -> str:
    """:func:`baseline_metrics` as a Markdown table, in percent."""
    lines = [f"| row | {' | '.join(BASELINE_COLUMNS)} |", f"|---|{'---:|' * len(BASELINE_COLUMNS)}"]
    for name in in_order(baselines):
        row = baselines[name]
        cells = (f"{100 * row[column]:.1f}" if column in row else "" for column in BASELINE_COLUMNS)
        lines.append(f"| {name.replace('_', '-')} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def in_order(baselines: Json) -> list[str]:
    """Names of the rows: the head, its variants, bounds; any other behind them."""
    return sorted(
        baselines, key=lambda name: (ROWS.index(name) if name in ROWS else len(ROWS), name)
    )


def _headline(figures: Json) -> Json:
    tuned = figures["tuned_threshold"]
    return {"mAP": figures["mAP"], "CF1": tuned["CF1"], "OF1": tuned["OF1"]}


def _chosen(figures: Json, names: tuple[str, ...]) -> Json:
    return {name: figures[name] for name in names if name in figures}


def _test_map(row: Json) -> Json:
    if "test" in row:
        # A lone classifier: zero-shot or the plain MLP.
        name = "mlp" if "fixed" in row["threshold"] else "zero_shot"
        return {name: row["test"]["mAP"]}
    table = {name: row[name]["test"]["mAP"] for name in PREDICTORS if name in row}
    table["retrieval"] = row["retrieval"]["test"]["mAP@all"]
    return table
