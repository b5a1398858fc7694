"""Charts of several runs, by hand: what stands, what is drawn, what is named."""

import numpy as np

from siglip2_multimodal_hash.evaluation.significance import Difference
from siglip2_multimodal_hash.reporting.web.side_charts import (
    Gap,
    Side,
    class_scatter,
    curve_charts,
    forest_chart,
)
from tests.reporting.test_page_parts import rows_of


def test_an_interval_on_one_side_of_zero_stands() -> None:
    gaps = [
        Gap("reference", None, "the reference"),
        Gap("up", Difference(0.02, 0.01, 0.03), "two points more"),
        Gap("down", Difference(-0.02, -0.03, -0.01), "two points less"),
        Gap("open", Difference(0.01, -0.01, 0.03), "one point more"),
        Gap("edge", Difference(0.01, 0.0, 0.03), "one point more"),
    ]
    figure = forest_chart("tags mAP", gaps, "bad", "good")
    rows = rows_of(figure, 1)
    assert [(row["name"], row["kind"]) for row in rows] == [
        ("up", "above"),
        ("down", "below"),
        ("open", "unclear"),
        ("edge", "unclear"),
    ]
    assert (rows[0]["x"], rows[0]["low"], rows[0]["high"]) == (2.0, 1.0, 3.0)
    assert rows_of(figure, 3) == [{"name": "reference", "x": 0, "note": "the reference"}]
    assert "down: two points less" in figure.spec["description"]
    order = figure.spec["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert order == ["reference", "up", "down", "open", "edge"]


def test_lines_of_all_runs_that_have_a_curve() -> None:
    epochs = [{"epoch": "0", "mAP": "0.5"}, {"epoch": "1", "mAP": "0.75"}]
    neighbours = [{"K": "1", "knn": "0.25"}, {"K": "10", "knn": ""}]
    sides = [
        Side("A", "a", {"training_val": epochs, "knn_by_neighbours": neighbours}),
        Side("B s1", "b", {"training_val": epochs[:1]}),
        Side("B s2", "b", {}),
    ]
    # A single point is no curve.
    (figure,) = curve_charts(sides, [("A", "a")])
    assert figure.title == "mAP on val by epoch"
    assert [(row["series"], row["x"], row["y"]) for row in rows_of(figure, 0)] == [
        ("A", 0, 50),
        ("A", 1, 75),
        ("B s1", 0, 50),
    ]
    assert rows_of(figure, 1)[0]["note"] == "A: epoch 0, mAP 50\nB s1: epoch 0, mAP 50"


def test_classes_that_differ_most_are_named() -> None:
    a, b = np.array([0.5, 0.5, np.nan, 0.25]), np.array([0.5, 0.75, np.nan, 0.125])
    figure = class_scatter("knn", a, b, ("same", "more", "absent", "less"), (1, 2, 0, 1000))
    rows = {row["name"]: row for row in rows_of(figure, 1)}
    assert {name: row["kind"] for name, row in rows.items()} == {
        "same": "unclear",
        "more": "above",
        "less": "below",
    }
    assert rows["less"]["note"] == "less, 1,000 images\nA 25.0, B 12.5 (-12.5)"
    assert [row["name"] for row in rows_of(figure, 2)] == ["more", "less"]
