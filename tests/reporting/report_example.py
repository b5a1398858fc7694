"""A report from the example of conftest.py, with a grid and an error analysis by hand."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.evaluation.significance import Difference
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.reporting.page import write_report
from siglip2_multimodal_hash.reporting.web.inputs import ReportInputs
from tests.reporting.conftest import Example

KNN = KnnParams(
    K=5,
    distance="hamming",
    vote="uniform",
    tau=0.07,
    threshold=0.5,
    shortlist=200,
    hybrid_weight=0.5,
    top_n_tags=2,
)
BASELINES = {
    "fused": {"knn": 0.6128, "mlp": 0.7, "hybrid": 0.75, "retrieval": 0.5},
    "zero_shot": {"zero_shot": 0.4},
    "odd<row": {"knn": 0.7},
    "chance": {"knn": 0.2, "retrieval": 0.3},
}
TRAINING = {
    "train": [{"epoch": str(epoch), "total": str(3 - epoch)} for epoch in (1, 2)],
    "val": [
        {"epoch": "1", "total": "2.5", "mAP": "0.25"},
        {"epoch": "2", "total": "1.5", "mAP": "0.625"},
    ],
}
GRID = [
    {"distance": distance, "K": count, "vote": vote, "tau": tau, "hybrid_weight": "0.5"}
    | {"map_knn": value, "map_hybrid": "0.7"}
    for distance, count, vote, tau, value in (
        ("hamming", "1", "uniform", "", "0.25"),
        ("hamming", "5", "uniform", "", "0.5"),
        ("hamming", "5", "softmax", "0.07", "0.625"),
        ("cosine", "5", "uniform", "", "0.375"),
    )
]
FIGURES = {"knn": {"AP": 0.5, "F1": 0.25}, "mlp": {"AP": None, "F1": 1.0}}
ERRORS: dict[str, Any] = {
    "groups": {
        "label_count": [{"group": 1, "images": 3} | FIGURES],
        "smallest_object": [],
        "caption": [
            {"group": "named", "labels": 1200, "knn": {"recall": 0.5}, "mlp": {"recall": 0.75}}
        ],
    },
    "classes": [
        {"category": "easy", "images": 2, "AP": {"knn": 0.9}, "confused": {"knn": []}},
        {"category": "<i>hard</i>", "images": 7, "AP": {"knn": 0.125}}
        | {"confused": {"knn": [{"category": "easy", "images": 3}]}},
        {"category": "absent", "images": 0, "AP": {"knn": None}, "confused": {"knn": []}},
    ],
}


def inputs_of(example: Example, **changes: Any) -> ReportInputs:
    """Inputs of the page, as the stage reads them."""
    settings: dict[str, Any] = {
        "title": "Tags & <codes>",
        "dataset": example.dataset,
        "evaluation": example.evaluation,
        "codes": example.codes,
        "knn": KNN,
        "baselines": BASELINES,
        "training": TRAINING,
        "best_epoch": 2,
        "grid": GRID,
        "errors": ERRORS,
        "intervals": {"knn": Difference(0.6, 0.5, 0.725), "retrieval": Difference(0.5, 0.4, 0.6)},
        "provenance": {"seed": "42", "checkpoint": "<owner>/name"},
    }
    return ReportInputs(**(settings | changes))


def report(
    path: Path,
    example: Example,
    images: ImageSource | None = None,
    queries: int = 100,
    locate: Callable[[str], Path] | None = None,
    **changes: Any,
) -> str:
    """Write the page; its text."""
    inputs = inputs_of(example, **changes)
    write_report(path, inputs, images=images, locate=locate, queries=queries)
    return path.read_text(encoding="utf-8")


def data_of(text: str) -> dict[str, Any]:
    """Data of the scripts of a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data
