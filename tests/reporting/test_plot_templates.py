"""The project's own templates of ``dvc plots``, filled as DVC does it, then drawn."""

import re
from itertools import pairwise
from typing import Any

import pytest
import vl_convert
from dvc_render import VegaRenderer
from dvc_render.vega_templates import get_template

from siglip2_multimodal_hash.params import read_yaml
from tests.parameters import PARAMS_FILE

ROOT = PARAMS_FILE.parent
TEMPLATES = ROOT / ".dvc" / "plots"
Sources = tuple[dict[str, str], ...]


def renderer_of(
    template: str, rows: list[dict[str, str]], x: str, y: str, sources: Sources = ()
) -> VegaRenderer:
    """A plot as DVC makes it; ``sources``: of its y, where there are several."""
    return VegaRenderer(
        [{"rev": "workspace", **row} for row in rows],
        "plot",
        template=template,
        template_dir=TEMPLATES,
        x=x,
        y=y,
        anchors_y_definitions=[*sources],
    )


def texts(*plot: Any) -> list[tuple[str, float]]:
    """The words of a drawn plot, each with the height where it stands."""
    spec = renderer_of(*plot).get_filled_template()
    svg = vl_convert.vegalite_to_svg(spec, vl_version="5.8")
    found = re.findall(r"<text[^>]*translate\([-\d.]+,([-\d.]+)\)[^>]*>([^<]*)</text>", svg)
    return [(word, float(height)) for height, word in found]


def test_every_plot_has_a_template_that_is_there() -> None:
    plots = read_yaml(ROOT / "dvc.yaml")["plots"]
    named = {plot["template"] for one in plots if isinstance(one, dict) for plot in one.values()}
    assert named >= {path.stem for path in TEMPLATES.iterdir()}
    for name in named:
        assert get_template(name, TEMPLATES).content


@pytest.mark.parametrize(
    "names",
    [
        [*map(str, range(64))],
        ["below 1%", "1% to 4%", "4% to 16%", "16% and more"],
        [f"a class of a long name {number}" for number in range(80, 0, -1)],
    ],
)
def test_bars_stand_in_the_order_of_the_data_without_overprint(names: list[str]) -> None:
    rows = [{"name": name, "share": "0.5"} for name in names]
    drawn = [one for one in texts("bars", rows, "share", "name") if one[0] in names]
    assert [word for word, _ in drawn][-len(names) :] == names
    heights = [height for _, height in drawn[-len(names) :]]
    assert all(b - a >= 12 for a, b in pairwise(heights))


@pytest.mark.parametrize(
    ("key", "sources", "expected"),
    [
        ("filename", ["training_val.csv", "training_train.csv"], ["val", "train"]),
        ("filename", ["precision_recall_knn.csv", "precision_recall_mlp.csv"], ["knn", "mlp"]),
        ("field", ["mlp", "knn"], ["mlp", "knn"]),
    ],
)
def test_a_legend_names_series_not_files(key: str, sources: list[str], expected: Any) -> None:
    rows = [{key: source, "x": x, "y": x} for source in sources for x in ("0", "1")]
    definitions = tuple({"filename": "one.csv", "field": "y", key: source} for source in sources)
    words = [word for word, _ in texts("series", rows, "x", "y", definitions)]
    assert [word for word in words if word in expected] == expected
    assert not any(".csv" in word for word in words)


def test_numbers_of_neighbours_stand_on_a_logarithmic_axis() -> None:
    rows = [{"K": str(count), "knn": "0.5"} for count in (1, 5, 10, 20, 500)]
    words = [word for word, _ in texts("line_log", rows, "K", "knn")]
    assert words[:9] == ["1", "2", "5", "10", "20", "50", "100", "200", "500"]
