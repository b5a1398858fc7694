"""The figures that Git keeps: chosen, rounded, and one row per baseline."""

import json
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.cli.table import comparison_table
from siglip2_multimodal_hash.document import as_markdown
from siglip2_multimodal_hash.reporting.tables import (
    baseline_metrics,
    detail_files,
    details,
    head_modality,
    headline,
    in_order,
    rounded,
    summary_figures,
    table_of_details,
)


def predictor(value: float, **threshold: float) -> dict[str, Any]:
    split = {
        "mAP": value,
        "mAP_chance": 0.125,
        "lrap": 0.9,
        "tuned_threshold": {"CF1": value / 2, "OF1": value / 4, "CP": 1.0},
    }
    return {
        "threshold": {"tuned": 0.3, **threshold},
        "val": split | {"mAP": value + 0.01},
        "test": split,
    }


def head(value: float, *, codes: bool = True) -> dict[str, Any]:
    figures = {
        "knn": predictor(value),
        "mlp": predictor(value + 0.1, fixed=0.5),
        "hybrid": predictor(value + 0.2),
        "retrieval": {
            split: {
                "mAP@all": value / 3,
                "P@10": 0.5,
                "NDCG@100": 0.4,
                "chance": 0.25,
                "queries": 9,
            }
            for split in ("val", "test")
        },
    }
    quality = {"bit_entropy": 0.99, "correlation": 0.1, "constant_bits": 0, "distinct_share": 0.7}
    return figures | ({"codes": quality} if codes else {})


def test_the_summary_holds_the_figures_to_compare_by() -> None:
    assert summary_figures(head(0.6), {"best_epoch": 7, "bits": 64}) == {
        "val": {"knn": {"mAP": 0.61}, "mlp": {"mAP": 0.71}, "hybrid": {"mAP": 0.81}},
        "test": {
            "knn": {"mAP": 0.6, "CF1": 0.3, "OF1": 0.15},
            "mlp": {"mAP": 0.7, "CF1": 0.35, "OF1": 0.175},
            "hybrid": {"mAP": 0.8, "CF1": 0.4, "OF1": 0.2},
        },
        # Figures that such codes or so small a database do not have are left out.
        "retrieval": {"mAP@all": 0.2, "P@10": 0.5, "NDCG@100": 0.4},
        "codes": {"bit_entropy": 0.99, "distinct_share": 0.7},
        "train": {"best_epoch": 7},
    }


def test_the_headline_names_predictor_and_split() -> None:
    summary = summary_figures(head(0.6), {"best_epoch": 7})
    summary["knn_best"] = {"val": {"mAP": 0.7}, "test": {"mAP": 0.65}}
    assert headline(summary) == {
        **{"knn": 0.6, "knn_best": 0.65, "mlp": 0.7, "retrieval": 0.2},
        **{"val_knn": 0.61, "val_mlp": 0.71},
    }


def test_without_a_hash_layer_there_are_no_code_figures() -> None:
    assert "codes" not in summary_figures(head(0.6, codes=False), {"best_epoch": 1})


def test_every_baseline_is_a_row() -> None:
    lone = {name: part for name, part in head(0.3).items() if name in ("knn", "retrieval")}
    baselines = {
        "zero_shot": predictor(0.5),
        "mlp": predictor(0.4, fixed=0.5),
        "image_only": head(0.45),
        "lsh": lone,
    }
    assert baseline_metrics(head(0.6), baselines) == {
        "fused": {"knn": 0.6, "mlp": 0.7, "hybrid": 0.8, "retrieval": 0.2},
        "zero_shot": {"zero_shot": 0.5},
        "mlp": {"mlp": 0.4},
        "image_only": {"knn": 0.45, "mlp": 0.55, "hybrid": 0.65, "retrieval": 0.15},
        "lsh": {"knn": 0.3, "retrieval": 0.1},
        "chance": {"knn": 0.125, "retrieval": 0.25},
    }


def test_the_table_of_val_is_in_the_details() -> None:
    lone = {name: part for name, part in head(0.3).items() if name in ("knn", "retrieval")}
    found = details(
        head(0.6) | head_modality({"head": {"modalities": "both"}}),
        {
            "pq": {"modality": "fused", **lone},
            "lsh": {"knn": lone["knn"], "retrieval": {"test": lone["retrieval"]["test"]}},
            "logistic_regression": {"modality": "image", **predictor(0.4, fixed=0.5)},
        },
    )
    assert found["fused"]["modality"] == "fused"
    table = table_of_details(found, "val")
    assert table == {
        "fused": {"knn": 0.61, "mlp": 0.71, "hybrid": 0.81, "retrieval": 0.2},
        "pq": {"knn": 0.31, "retrieval": 0.1},
        "lsh": {"knn": 0.31},
        "logistic_regression": {"mlp": 0.41},
        "chance": {"knn": 0.125, "retrieval": 0.25},
    }
    assert table_of_details(found, "test")["pq"] == {"knn": 0.3, "retrieval": 0.1}


@pytest.mark.parametrize(
    ("modalities", "named"), [("both", "fused"), ("image", "image"), ("caption", "caption")]
)
def test_a_head_of_one_modality_is_not_called_fused(modalities: str, named: str) -> None:
    assert head_modality({"head": {"modalities": modalities}}) == {"modality": named}


def test_rows_go_from_the_head_over_its_variants_and_bounds_to_chance() -> None:
    expected = (
        *("fused", "direction_only", "magnitude_only", "image_only", "caption_only"),
        *("mlp", "logistic_regression", "zero_shot"),
        *("float", "pq", "itq", "pca_sign", "lsh", "chance", "another"),
    )
    assert in_order({name: {} for name in sorted(expected)}) == list(expected)


def test_details_are_four_files() -> None:
    fit = {"best_epoch": 7, "head": {"modalities": "caption"}}
    found = detail_files(head(0.6), {"lsh": head(0.3)}, fit, {"knn": {"wrong": 1 / 3}})
    assert found == {
        "baselines": baseline_metrics(head(0.6), {"lsh": head(0.3)}),
        "details": details({"modality": "caption", **head(0.6)}, {"lsh": head(0.3)}),
        "errors": {"knn": {"wrong": 0.333333}},
        "fit": {"best_epoch": 7},
    }


def test_details_hold_everything() -> None:
    found = details(head(0.6), {"lsh": head(1 / 3)})
    assert found["fused"]["knn"]["test"]["lrap"] == 0.9
    assert found["lsh"]["knn"]["test"]["mAP"] == 0.333333
    assert found["fused"]["retrieval"]["test"]["queries"] == 9


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1 / 3, 0.333333),
        (2e-7, 0.0),
        (np.float64(2 / 3), 0.666667),
        (12345678, 12345678),
        (True, True),
        ({"a": {"b": 0.12345678}, "c": "text"}, {"a": {"b": 0.123457}, "c": "text"}),
    ],
)
def test_floats_have_six_decimals(value: object, expected: object) -> None:
    assert rounded(value) == expected
    assert json.loads(json.dumps(rounded(value))) == expected


def test_the_markdown_table_is_in_percent() -> None:
    table = comparison_table(
        {"fused": {"knn": 0.6128, "retrieval": 0.2}, "zero_shot": {"zero_shot": 1}}
    )
    assert as_markdown([table]).splitlines() == [
        "| row | knn | mlp | hybrid | zero_shot | retrieval |",
        "|---|---:|---:|---:|---:|---:|",
        "| fused | 61.3 |  |  |  | 20.0 |",
        "| zero-shot |  |  |  | 100.0 |  |",
    ]
