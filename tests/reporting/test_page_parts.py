"""Parts of the report page: scales, ticks, charts, tables and the gallery's data, by hand."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.reporting.web.charts import (
    calibration_charts,
    decades,
    distance_chart,
    training_charts,
)
from siglip2_multimodal_hash.reporting.web.errors import error_tables
from siglip2_multimodal_hash.reporting.web.gallery import gallery_data, wanted_pictures
from siglip2_multimodal_hash.reporting.web.headline import facts, tiles
from siglip2_multimodal_hash.reporting.web.shapes import strip
from siglip2_multimodal_hash.reporting.web.svg import Scale, element, ticks
from siglip2_multimodal_hash.reporting.web.tables import baseline_table, class_table
from siglip2_multimodal_hash.reporting.web.template import embedded_json
from siglip2_multimodal_hash.reporting.web.vote_grid import map_legend, vote_maps
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW, Neighbours
from tests.reporting.report_example import BASELINES, ERRORS, GRID, KNN, inputs_of


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.63, 0.74, [0.64, 0.66, 0.68, 0.7, 0.72, 0.74]),
        (1, 30, [5, 10, 15, 20, 25, 30]),
        (0, 64, [0, 20, 40, 60]),
        (2, 2, [2]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "low", "value", "expected"),
    [("linear", 0, 25, 25), ("log", 1, 10, 50), ("root", 0, 12.5, 50), ("root", 0, 0, 0)],
)
def test_scales_by_hand(kind: Any, low: float, value: float, expected: float) -> None:
    assert Scale(low, 100, 0, 100, kind)(value) == pytest.approx(expected)


def test_a_scale_of_one_value_is_its_middle() -> None:
    assert Scale(3, 3, 10, 20)(3) == 15


def test_attributes_are_escaped_and_numbers_short() -> None:
    made = element("a", "x", class_="k", data_tip='"<', x=1 / 3, y=2.0, href=None)
    assert made == '<a class="k" data-tip="&quot;&lt;" x="0.33" y="2">x</a>'


def test_embedded_json_ends_no_script() -> None:
    value = {"a": "</script><!-- \u2028\u2029 é"}
    text = embedded_json(value)
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="JSON"):
        embedded_json(float("nan"))


def test_decades_thin_out_where_there_are_many() -> None:
    assert decades(10, 500) == [(10, "10"), (20, "20"), (50, "50"), (100, "100"), (200, "200"),
                                (500, "500")]  # fmt: skip
    assert decades(1, 1000) == [(1, "1"), (10, "10"), (100, "100"), (1000, "1,000")]


def test_a_strip_marks_what_a_figure_is_compared_with() -> None:
    drawn = strip(0.5, [("chance", 0.1)], "knn")
    assert 'class="bar knn" x="0" y="9" width="150"' in drawn
    assert 'x="28.75"' in drawn
    assert 'aria-label="50.0 percent; chance 10.0"' in drawn


def test_the_best_of_each_column_is_bold() -> None:
    made = baseline_table(BASELINES)
    # knn of the odd row; mlp, hybrid and retrieval of the head; zero-shot has a column of its own.
    best = re.findall(r"<strong>([\d.]+)</strong>", made)
    assert best == ["70.0", "75.0", "50.0", "40.0", "70.0"]
    assert "odd&lt;row" in made
    assert "this head" in made


def test_tiles_name_bounds_and_baselines(example: Any) -> None:
    made = tiles(inputs_of(example))
    assert made.count("<article") == 4
    assert '<p class="figure">61.3<small>%</small></p>' in made
    assert "chance <b>20.0</b>" in made
    assert "zero-shot <b>40.0</b>" in made
    assert "chance <b>30.0</b>" in made


def test_facts_are_those_of_the_dataset_and_the_vote(example: Any) -> None:
    made = facts(inputs_of(example))
    assert "16 train · 8 val · 8 test" in made
    assert "<dd>16 bits</dd>" in made
    assert "5 neighbours by hamming distance, uniform" in made


def test_classes_without_a_positive_are_left_out(example: Any) -> None:
    made = class_table(inputs_of(example))
    assert "unicorn" not in made
    support = example.dataset.labels()[example.dataset.rows("test")].sum(axis=0)
    for name, count in zip(("person", "hot dog"), support, strict=False):
        assert f'data-value="{name}">{name}</th><td data-value="{count}">{count}</td>' in made


def test_maps_have_a_cell_a_setting_and_mark_two() -> None:
    maps = vote_maps(GRID, KNN)
    assert len(maps) == 2
    assert re.findall(r'class="value o[nf]+"[^>]*>([\d.]+)<', maps[0]) == ["62.5", "25.0", "50.0"]
    assert maps[0].count('class="best"') == maps[0].count('class="own"') == 1
    assert "hamming, K 5, softmax τ 0.07: 62.50 %" in maps[0]
    assert 'class="best"' not in maps[1]
    assert vote_maps([], KNN) == []


def test_the_legend_names_the_best_mix() -> None:
    assert "best on val is 70.0 %: hamming distance, K 1, uniform, weight 0.5" in map_legend(GRID)
    alone = [row | {"map_hybrid": ""} for row in GRID]
    assert "<p" not in map_legend(alone)


def test_error_tables_show_groups_and_the_hardest_classes_first() -> None:
    made = error_tables(ERRORS)
    assert len(made) == 3
    assert ">1</th><td>3</td>" in made[0]
    assert "<td>–</td>" in made[0]
    assert "<td>1,200</td>" in made[1]
    assert made[2].index("&lt;i&gt;hard") < made[2].index(">easy</th>")
    assert "easy 3" in made[2]
    assert "absent" not in made[2]
    assert error_tables({}) == []


def test_distances_say_the_mean_of_both_kinds(example: Any) -> None:
    made = distance_chart(inputs_of(example))
    assert "All 8 × 16 pairs" in made
    means = [float(mean) for mean in re.findall(r"mean ([\d.]+)</li>", made)]
    assert means[0] < means[1]


def test_calibration_has_a_line_a_predictor(example: Any) -> None:
    made = calibration_charts(inputs_of(example))
    for name in ("knn", "mlp", "hybrid"):
        error = example.evaluation.figures[name]["test"]["ece"]
        assert f"{name}, ECE {100 * error:.2f} %" in made


def test_a_card_says_what_the_evaluation_says(example: Any) -> None:
    inputs = inputs_of(example)
    data = gallery_data(inputs, 1)
    card = data["cards"][0]
    dataset, test = example.dataset, example.evaluation.predictions["test"]
    labels, row = dataset.labels(), int(dataset.rows("test")[0])
    assert card["true"] == np.flatnonzero(labels[row]).tolist()
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
    packed = example.codes.packed
    assert key == f"n{neighbour}"
    assert distance == sum(
        int(a ^ b).bit_count() for a, b in zip(packed[row], packed[neighbour], strict=True)
    )
    assert similarity == pytest.approx(1 - distance / 16, abs=1e-4)
    assert weight == 0.2
    assert common == np.flatnonzero(labels[row] & labels[neighbour]).tolist()
    assert card["rest"] == [0, 0.0]


def test_pictures_of_queries_come_before_those_of_neighbours(example: Any) -> None:
    data = gallery_data(inputs_of(example), 3)
    wanted = [*wanted_pictures(data)]
    assert [key for key, *_ in wanted[:3]] == [card["photo"] for card in data["cards"]]
    assert [key for key, *_ in wanted[3:6]] == [card["neighbours"][0][0] for card in data["cards"]]
    assert len(wanted) == 3 + 3 * 5


def test_a_head_without_a_vote_of_all_has_no_weight_beyond_what_is_listed(uncoded: Any) -> None:
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
def test_training_may_be_short(example: Any, train: Any, val: Any, count: int) -> None:
    training = {
        "train": [dict(zip(("epoch", "total"), row, strict=True)) for row in train],
        "val": [dict(zip(("epoch", "total", "mAP"), row, strict=True)) for row in val],
    }
    made = training_charts(inputs_of(example, training=training))
    assert len(made) == count
    assert "nan" not in "".join(made)


def test_neighbours_that_were_not_found_are_not_listed(example: Any) -> None:
    stored = example.evaluation.predictions["test"]
    rows, similarities = (array.copy() for array in stored.neighbours)
    rows[:, 3:], similarities[:, 3:] = NO_ROW, 0
    test = replace(stored, neighbours=Neighbours(rows, similarities))
    evaluation = replace(example.evaluation, predictions={"test": test})
    card = gallery_data(inputs_of(example, evaluation=evaluation), 1)["cards"][0]
    assert [one[3] for one in card["neighbours"]] == pytest.approx([1 / 3] * 3, abs=1e-4)
    assert card["rest"] == [0, 0.0]
