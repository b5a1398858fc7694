"""The figures of a run: headline, summary, comparison of methods, and all of them."""

from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.datasets.layout import OFFICIAL_COUNTS
from siglip2_multimodal_hash.params import PREDICTORS

Json = dict[str, Any]

BASELINE_COLUMNS = (*PREDICTORS, "zero_shot", "retrieval")
ROWS = (
    "fused",
    "direction_only",
    "magnitude_only",
    "image_only",
    "caption_only",
    "mlp",
    "logistic_regression",
    "zero_shot",
    "float",
    "pq",
    "itq",
    "pca_sign",
    "lsh",
    "chance",
)
ERROR_GROUPS = {
    "label_count": "Images by number of labels",
    "smallest_object": "Images by the share that the smallest object covers",
    "median_object": "Images by the share that the median object covers",
    "object_size": "Labels by the share that their largest object covers",
    "caption": "Labels by whether the caption names the class",
}
RETRIEVAL = ("mAP@all", "mAP@1000", "P@10", "NDCG@100")
CODES = ("bit_entropy", "distinct_share")
DECIMALS = 6
LABELLED_COCO = 122_218
"""Images of COCO 2014 with a label."""
REMAKE = "run `dvc repro summarise`"
"""Advice where a file of figures is missing or damaged."""
HEADLINE_FILE = Path("metrics/summary.json")
HEADLINE = {
    "knn": "test.knn.mAP",
    "knn_best": "knn_best.test.mAP",
    "mlp": "test.mlp.mAP",
    "retrieval": "retrieval.mAP@all",
    "val_knn": "val.knn.mAP",
    "val_mlp": "val.mlp.mAP",
}
"""Columns of ``dvc exp show``: short names, with the full ones of :func:`summary_figures`."""


def whole_coco(kind: str, protocol: str, unlabelled: str) -> int | None:
    """Images of all of COCO 2014, for values of the section ``dataset``; None for another dataset.

    HashNet's lists have the images with a label alone.
    """
    if kind != "coco2014":
        return None
    labelled = protocol == "hashnet" or unlabelled == "drop"
    return LABELLED_COCO if labelled else sum(OFFICIAL_COUNTS.values())


def figures_file(dataset: str, backbone: str) -> Path:
    """Path of the figures of :func:`summary_figures`, which Git keeps."""
    return Path("metrics", dataset, backbone, "figures.json")


def details_file(dataset: str, backbone: str, name: str) -> Path:
    """Path of a JSON file of all other figures, which DVC keeps."""
    return Path("outputs", dataset, backbone, "details", f"{name}.json")


def detail_files(figures: Json, baselines: Json, fit: Json, errors: Json) -> dict[str, Json]:
    """Figures beyond the summary, by the name of their file.

    Args:
        figures: Of the head; see :func:`..evaluation.heads.evaluate_head`.
        baselines: Figures by row, each with its ``modality``.
        fit: The head's ``config.json``.
        errors: See :func:`..evaluation.error_analysis.errors_of_test`.
    """
    return {
        "baselines": baseline_metrics(figures, baselines),
        "details": details(figures | head_modality(fit), baselines),
        "errors": rounded(errors),
        "fit": {"best_epoch": fit["best_epoch"]},
    }


def headline(summary: Json) -> Json:
    """The figures of :data:`HEADLINE`.

    Args:
        summary: See :func:`summary_figures`; with the best votes.
    """
    return {name: reduce(getitem, key.split("."), summary) for name, key in HEADLINE.items()}


def summary_figures(figures: Json, fit: Json) -> Json:
    """The figures of a run that Git keeps, without the best votes.

    Args:
        figures: Of the head; see :func:`..evaluation.heads.evaluate_head`.
        fit: The head's ``config.json``.

    Returns:
        By split and predictor mAP, and for test CF1 and OF1 at the threshold tuned on val;
        retrieval on test; code statistics; the best epoch.
    """
    summary: Json = {
        "val": {name: {"mAP": figures[name]["val"]["mAP"]} for name in PREDICTORS},
        "test": {name: _tag_figures(figures[name]["test"]) for name in PREDICTORS},
        "retrieval": _chosen(figures["retrieval"]["test"], RETRIEVAL),
        "train": {"best_epoch": fit["best_epoch"]},
    }
    if "codes" in figures:
        summary["codes"] = _chosen(figures["codes"], CODES)
    metrics: Json = rounded(summary)
    return metrics


def baseline_metrics(figures: Json, baselines: Json, split: str = "test") -> Json:
    """MAP of the head, of every baseline and of chance: rows of one table.

    Args:
        figures: Of the head.
        baselines: Figures by row.
        split: ``val`` or ``test``.

    Returns:
        By row: ``knn``, ``mlp``, ``hybrid``, ``zero_shot`` (classification mAP) and ``retrieval``
        (mAP@all), as far as the row has them.
    """
    rows = {"fused": figures, **baselines}
    table = {name: _maps(row, split) for name, row in rows.items()}
    table["chance"] = {
        "knn": figures["knn"][split]["mAP_chance"],
        "retrieval": figures["retrieval"][split]["chance"],
    }
    metrics: Json = rounded(table)
    return metrics


def details(figures: Json, baselines: Json) -> Json:
    """Every figure there is, of val and test where both are; a row names its ``modality``."""
    metrics: Json = rounded({"fused": figures, **baselines})
    return metrics


def head_modality(fit: Json) -> Json:
    """Modality of the head's input, as its row of :func:`details` names it.

    Args:
        fit: The head's ``config.json``.
    """
    modalities = fit["head"]["modalities"]
    return {"modality": "fused" if modalities == "both" else modalities}


def table_of_details(found: Json, split: str) -> Json:
    """:func:`baseline_metrics` of either split, from :func:`details`."""
    baselines = {name: row for name, row in found.items() if name != "fused"}
    return baseline_metrics(found["fused"], baselines, split)


def rounded(value: Any) -> Any:
    """``value`` with its floats cut to six decimals: what is beyond is noise of the summation."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, DECIMALS) if isinstance(value, float) else value


def in_order(baselines: Json) -> list[str]:
    """Names of the rows: the head, its variants, bounds; any other behind them."""
    return sorted(
        baselines, key=lambda name: (ROWS.index(name) if name in ROWS else len(ROWS), name)
    )


def _tag_figures(figures: Json) -> Json:
    tuned = figures["tuned_threshold"]
    return {"mAP": figures["mAP"], "CF1": tuned["CF1"], "OF1": tuned["OF1"]}


def _chosen(figures: Json, names: tuple[str, ...]) -> Json:
    return {name: figures[name] for name in names if name in figures}


def _maps(row: Json, split: str) -> Json:
    if split in row:
        # A lone classifier: zero-shot, or one with a sigmoid.
        name = "mlp" if "fixed" in row["threshold"] else "zero_shot"
        return {name: row[split]["mAP"]}
    table = {name: row[name][split]["mAP"] for name in PREDICTORS if name in row}
    if split in row["retrieval"]:  # untrained codes have that of test alone
        table["retrieval"] = row["retrieval"][split]["mAP@all"]
    return table
