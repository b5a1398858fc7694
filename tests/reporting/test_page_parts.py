"""Parts of the report page: charts, tables and the gallery's data, by hand."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.evaluation.items import ItemResults, Items
from siglip2_multimodal_hash.evaluation.significance import Difference
from siglip2_multimodal_hash.reporting.intervals import headline_intervals
from siglip2_multimodal_hash.reporting.tables import whole_coco
from siglip2_multimodal_hash.reporting.web.charts import (
    Figure,
    calibration_chart,
    class_chart,
    distance_chart,
    precision_recall_charts,
    training_charts,
    vote_maps,
)
from siglip2_multimodal_hash.reporting.web.gallery import gallery_data, wanted_pictures
from siglip2_multimodal_hash.reporting.web.glossary import TERMS, explained, term_id
from siglip2_multimodal_hash.reporting.web.tables import (
    baseline_table,
    best_mix,
    class_table,
    error_tables,
    facts,
    tiles,
)
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW, Neighbours
from tests.reporting.conftest import Example
from tests.reporting.report_example import BASELINES, ERRORS, GRID, KNN, inputs_of


def rows_of(figure: Figure, layer: int) -> list[dict[str, Any]]:
    """The data of one layer of a chart."""
    data: dict[str, Any] = figure.spec["layer"][layer]["data"]
    rows: list[dict[str, Any]] = figure.spec["datasets"][data["name"]]
    return rows


def test_methods_are_compared_column_by_column() -> None:
    table = baseline_table(BASELINES)
    assert table.head == ["", "knn", "mlp", "hybrid", "zero-shot", "retrieval"]
    assert {name: [cell.text for cell in cells] for name, cells in table.rows} == {
        "this head": ["61.3", "70.0", "75.0", "", "50.0"],
        "zero-shot": ["", "", "", "40.0", ""],
        "odd<row": ["70.0", "", "", "", ""],
        "chance": ["20.0", "", "", "", "30.0"],
    }


def test_tiles_name_bounds_and_baselines(example: Example) -> None:
    made = tiles(inputs_of(example))
    assert [one.name for one in made] == ["knn", "mlp", "hybrid", "retrieval"]
    assert made[0].value == 0.6128
    knn, retrieval = Difference(0.6, 0.5, 0.725), Difference(0.5, 0.4, 0.6)
    assert [one.interval for one in made] == [knn, None, None, retrieval]
    assert made[0].marks == [("chance", 0.2), ("zero-shot", 0.4)]
    assert made[3].marks == [("chance", 0.3)]


def test_facts_are_those_of_the_dataset_and_the_vote(example: Example) -> None:
    assert facts(inputs_of(example)) == {
        "images": "16 train · 8 val · 8 test",
        "classes": "4",
        "codes": "16 bits",
        "vote": "5 neighbours by hamming distance, uniform",
    }


@pytest.mark.parametrize(("whole", "said"), [(123_287, "32 of 123,287"), (32, None), (None, None)])
def test_a_part_of_coco_says_so(example: Example, whole: int | None, said: str | None) -> None:
    assert facts(inputs_of(example, whole=whole)).get("part of COCO") == said


def test_all_of_coco_is_as_many_images_as_the_parameters_keep() -> None:
    assert whole_coco("coco2014", "karpathy", "keep") == 123_287
    assert whole_coco("coco2014", "karpathy", "drop") == 122_218
    assert whole_coco("coco2014", "hashnet", "keep") == 122_218
    assert whole_coco("mojicoco", "karpathy", "keep") is None


def test_terms_are_explained_where_they_stand_and_text_stays_text() -> None:
    text = explained("micro mAP, P@10, AP <b>knn</b>; remap, recall@radius2")
    assert text == (
        '<abbr aria-describedby="term-micro-map">micro mAP</abbr>, '
        '<abbr aria-describedby="term-p-k">P@10</abbr>, '
        '<abbr aria-describedby="term-ap">AP</abbr> '
        '&lt;b&gt;<abbr aria-describedby="term-knn">knn</abbr>&lt;/b&gt;; remap, recall@radius2'
    )
    assert len({term_id(term) for term in TERMS}) == len(TERMS)


def test_an_interval_is_that_of_the_images_of_test() -> None:
    # Class a is on two of four images, and its ranking is right: whatever is drawn, its AP is 1.
    # Queries with an AP of 0 and 1: their mean is anywhere between.
    labels = np.array([[1], [1], [0], [0]], np.uint8)
    scores = dict.fromkeys(("knn", "mlp", "hybrid"), labels.astype(np.float32))
    run = ItemResults(
        Items(np.arange(4), labels, ("a",)),
        scores,
        dict.fromkeys(scores, 0.5),
        np.array([0.0, 1.0, np.nan, np.nan]),
    )
    found = headline_intervals(run, draws=200)
    assert found == {
        **dict.fromkeys(scores, Difference(1.0, 1.0, 1.0)),
        "retrieval": Difference(0.5, 0.0, 1.0),
    }
    nothing_relevant = replace(run, retrieval=np.full(4, np.nan))
    assert [*headline_intervals(nothing_relevant, draws=20)] == ["knn", "mlp", "hybrid"]


def test_classes_without_a_positive_are_left_out(example: Example) -> None:
    inputs = inputs_of(example)
    rows = dict(class_table(inputs).rows)
    assert {*rows} == {"person", "hot dog", "<b>cat</b>"}
    support = example.dataset.labels()[example.dataset.rows("test")].sum(axis=0)
    dots = {dot["name"]: dot for dot in rows_of(class_chart(inputs), 0)}
    assert {*dots} == {*rows}
    for name, count in zip(("person", "hot dog"), support, strict=False):
        images, first, *_ = rows[name]
        assert (images.text, images.value) == (str(count), count)
        assert (dots[name]["x"], f"{dots[name]['y']:.1f}") == (count, first.text)


def test_curves_are_those_of_the_evaluation(example: Example) -> None:
    tags, retrieval = precision_recall_charts(inputs_of(example))
    assert [name for name, _ in tags.legend] == ["knn", "mlp", "hybrid"]
    assert {row["series"] for row in rows_of(tags, 0)} == {"knn", "mlp", "hybrid"}
    found = example.evaluation.curves["test"]
    points = [(row["x"], row["y"]) for row in rows_of(retrieval, 0)]
    expected = zip(found["recall"], found["precision"], strict=True)
    assert points == [pytest.approx((100 * r, 100 * p), rel=1e-5) for r, p in expected]
    # The pointer's reading where everything is found: the smallest such distance.
    least = round(16 * found["distance"][list(found["recall"]).index(1)])
    note = rows_of(retrieval, 1)[-1]["note"]
    assert note == f"distance ≤ {least}: recall 100.0, precision {points[least][1]:.1f}"


def test_maps_have_a_cell_per_setting_and_mark_two() -> None:
    hamming, cosine = vote_maps(GRID, KNN)
    cells = {(cell["K"], cell["vote"]): cell for cell in rows_of(hamming, 0)}
    assert {key: cell["value"] for key, cell in cells.items()} == {
        (1, "uniform"): 25,
        (5, "uniform"): 50,
        (5, "softmax τ 0.07"): 62.5,
    }
    assert {key: cell["mark"] for key, cell in cells.items() if cell["mark"]} == {
        (5, "softmax τ 0.07"): "best",
        (5, "uniform"): "own",
    }
    assert rows_of(hamming, 2) == [cell for cell in cells.values() if cell["mark"]]
    assert cells[5, "softmax τ 0.07"]["note"] == "hamming, K 5, softmax τ 0.07: 62.50 %"
    assert rows_of(cosine, 2) == []
    assert vote_maps([], KNN) == []


def test_the_best_mix_is_named() -> None:
    assert "best on val is 70.0 %: hamming distance, K 1, uniform, weight 0.5" in best_mix(GRID)
    assert best_mix([row | {"map_hybrid": ""} for row in GRID]) == ""


def test_error_tables_show_groups_and_the_hardest_classes_first() -> None:
    made = error_tables(ERRORS)
    (by_count,), (by_caption,), (classes,) = made["images"], made["labels"], made["classes"]
    assert [(name, [cell.text for cell in cells]) for name, cells in by_count.rows] == [
        ("1", ["3", "50.0", "–", "25.0", "100.0"])
    ]
    assert by_count.head == ["", "images", "AP knn", "AP mlp", "F1 knn", "F1 mlp"]
    assert [cell.text for cell in by_caption.rows[0][1]] == ["1,200", "50.0", "75.0"]
    assert [(name, cells[-1].text) for name, cells in classes.rows] == [
        ("<i>hard</i>", "easy 3"),
        ("easy", "–"),
    ]
    assert error_tables({}) == error_tables(None) == {}


def test_distances_say_the_mean_of_both_kinds(example: Example) -> None:
    figure = distance_chart(inputs_of(example))
    assert "All 8 × 16 pairs" in figure.note
    means = [float(name.rpartition(" ")[2]) for name, _ in figure.legend]
    assert means[0] < means[1]
    shares = [row["y"] for row in rows_of(figure, 0) if row["series"] == "share none"]
    assert sum(shares) == pytest.approx(100, rel=1e-4)


def test_calibration_has_a_line_per_predictor(example: Example) -> None:
    legend = calibration_chart(inputs_of(example)).legend
    for name, (said, colour) in zip(("knn", "mlp", "hybrid"), legend, strict=True):
        error = example.evaluation.figures[name]["test"]["ece"]
        assert (said, colour) == (f"{name}, ECE {100 * error:.2f} %", name)


def test_a_card_says_what_the_evaluation_says(example: Example) -> None:
    inputs = inputs_of(example)
    data = gallery_data(inputs, 1)
    card = data["cards"][0]
    dataset, test = example.dataset, example.evaluation.predictions["test"]
    labels, row = dataset.labels(), int(dataset.rows("test")[0])
    assert card["true"] == np.flatnonzero(labels[row]).tolist()
    assert card["id"] == str(dataset.frame["image_id"][row])
    decided = np.flatnonzero(
        test.scores["knn"][0] >= inputs.evaluation.figures["knn"]["threshold"]["tuned"]
    )
    assert card["decided"] == decided.tolist()
    assert card["right"] == (card["true"] == card["decided"])
    shared = len({*card["true"]} & {*card["decided"]})
    expected = 2 * shared / (len(card["true"]) + len(card["decided"]))
    assert card["f1"] == pytest.approx(expected, abs=1e-3)
    for category, *scores in card["tags"]:
        own = [test.scores[name][0, category] for name in ("knn", "mlp", "hybrid")]
        assert scores == pytest.approx(own, abs=1e-3)
    assert {one[0] for one in card["tags"]} >= {*card["true"], *card["decided"]}
    key, distance, similarity, weight, common = card["neighbours"][0]
    neighbour = int(dataset.rows("database")[test.neighbours.rows[0, 0]])
    packed = example.codes.searchable()
    assert key == f"n{neighbour}"
    assert distance == sum(
        int(a ^ b).bit_count() for a, b in zip(packed[row], packed[neighbour], strict=True)
    )
    assert similarity == pytest.approx(1 - distance / 16, abs=1e-4)
    assert weight == 0.2
    assert common == np.flatnonzero(labels[row] & labels[neighbour]).tolist()
    assert card["rest"] == [0, 0.0]


def test_pictures_of_queries_come_before_those_of_neighbours(example: Example) -> None:
    data = gallery_data(inputs_of(example), 3)
    wanted = [*wanted_pictures(data)]
    assert [key for key, *_ in wanted[:3]] == [card["photo"] for card in data["cards"]]
    assert [key for key, *_ in wanted[3:6]] == [card["neighbours"][0][0] for card in data["cards"]]
    assert len(wanted) == 3 + 3 * 5


def test_a_head_without_a_vote_of_all_has_no_weight_beyond_what_is_listed(uncoded: Example) -> None:
    knn = KNN.model_copy(update={"vote": "rank", "distance": "cosine"})
    card = gallery_data(inputs_of(uncoded, knn=knn), 1)["cards"][0]
    weights = [one[3] for one in card["neighbours"]]
    assert weights == pytest.approx([60 / 137, 30 / 137, 20 / 137, 15 / 137, 12 / 137], abs=1e-4)


@pytest.mark.parametrize(
    ("train", "val", "count"),
    [
        ([("1", "2.0")], [("1", "2.0", "0.5")], 2),  # one epoch: every scale has a single value
        ([("1", "2.0")], [], 1),
        ([], [], 0),
    ],
)
def test_training_may_be_short(
    example: Example, train: list[tuple[str, str]], val: list[tuple[str, str, str]], count: int
) -> None:
    training = {
        "train": [dict(zip(("epoch", "total"), row, strict=True)) for row in train],
        "val": [dict(zip(("epoch", "total", "mAP"), row, strict=True)) for row in val],
    }
    made = training_charts(inputs_of(example, training=training))
    assert len(made) == count
    json.dumps([one.spec for one in made], allow_nan=False)


@pytest.mark.parametrize(
    ("epoch", "said"), [(0, "kept: closed form (epoch 0), 70.0 %"), (1, "kept: epoch 1, 90.0 %")]
)
def test_the_epoch_that_was_kept_is_marked_whatever_was_monitored(
    example: Example, epoch: int, said: str
) -> None:
    values = ("0.7", "0.9", "0.8")
    val = [{"epoch": str(e), "total": "2", "mAP": value} for e, value in enumerate(values)]
    made = training_charts(
        inputs_of(example, training={"train": val[1:], "val": val}, best_epoch=epoch)
    )
    (found,) = [one for one in made if one.title == "mAP on val by epoch"]
    assert (said, "mark") in found.legend
    assert [{"x": epoch}] in found.spec["datasets"].values()


@pytest.mark.parametrize(
    ("noted", "series"),
    [
        ({"bit_entropy": "0.9"}, {"bits"}),
        ({"bit_entropy": "0.9", "direction_cosine": "0.98"}, {"bits", "directions"}),
        ({"direction_cosine": "0.98"}, {"directions"}),
    ],
)
def test_signs_of_a_collapse_are_drawn_where_they_were_noted(
    example: Example, noted: dict[str, str], series: set[str]
) -> None:
    val = [{"epoch": str(epoch), "total": "2", **noted} for epoch in (1, 2)]
    made = training_charts(inputs_of(example, training={"train": val, "val": val}))
    (found,) = [one for one in made if one.title == "Bits and directions on val by epoch"]
    assert {
        name for name in ("bits", "directions") if f'"{name}"' in json.dumps(found.spec)
    } == series
    assert len(found.legend) == len(series)


def test_neighbours_that_were_not_found_are_not_listed(example: Example) -> None:
    stored = example.evaluation.predictions["test"]
    rows, similarities = stored.neighbours.rows.copy(), stored.neighbours.similarities.copy()
    rows[:, 3:], similarities[:, 3:] = NO_ROW, 0
    test = replace(stored, neighbours=Neighbours(rows, similarities))
    evaluation = replace(example.evaluation, predictions={"test": test})
    card = gallery_data(inputs_of(example, evaluation=evaluation), 1)["cards"][0]
    assert [one[3] for one in card["neighbours"]] == pytest.approx([1 / 3] * 3, abs=1e-4)
    assert card["rest"] == [0, 0.0]
