"""The report page: safe to open, complete in one file, the same bytes for the same data."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from siglip2_multimodal_hash.reporting.page import write_report
from siglip2_multimodal_hash.reporting.pictures import draw_overview

VOID = {"meta", "img"}
BASELINES = {
    "fused": {"knn": 0.6128, "mlp": 0.7, "hybrid": 0.75, "retrieval": 0.5},
    "zero<shot": {"zero_shot": 0.4},
}


class Page(HTMLParser):
    """What a browser would see: elements with attributes, text, and whether tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def overview(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("overview") / "overview.png"
    Image.new("RGB", (4, 4), "red").save(path)
    return path


def report(path: Path, example: Any, overview: Path, **changes: Any) -> str:
    settings: dict[str, Any] = {
        "title": "Tags & <codes>",
        "baselines": BASELINES,
        "overview": overview,
        "dataset": example.dataset,
        "evaluation": example.evaluation,
        "images": None,
        "queries": 100,
        "top_n": 2,
    }
    write_report(path, **(settings | changes))
    return path.read_text(encoding="utf-8")


def test_captions_categories_and_titles_are_text_only(
    tmp_path: Path, example: Any, overview: Path, coloured_images: Any
) -> None:
    page = Page(report(tmp_path / "a.html", example, overview, images=coloured_images))
    assert not page.all("script")
    assert not page.all("b")
    assert not page.all("codes")
    assert all(name in {"alt", "src", "class"} for found in page.all("img") for name in found)
    text = "".join(page.texts)
    for part in ('<script>alert("a & b")</script>', "<b>cat</b>", "Tags & <codes>", "zero<shot"):
        assert part in text
    alts = [attributes["alt"] for attributes in page.all("img")]
    assert '<script>alert("a & b")</script>' in alts
    assert '" onerror="alert(1)' in alts


def test_the_page_needs_no_other_file(
    tmp_path: Path, example: Any, overview: Path, coloured_images: Any
) -> None:
    text = report(tmp_path / "a.html", example, overview, images=coloured_images)
    page = Page(text)
    assert page.open == ["html"]  # HTML closes it by itself
    links = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "data", "action", "poster", "style"}
    ]
    assert links
    assert all(re.match(r"data:image/(png|jpeg);base64,[\w+/=]+$", link or "") for link in links)
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text
    picture = page.all("img")[0]["src"] or ""
    assert base64.b64decode(picture.split(",")[1]) == overview.read_bytes()


def test_equal_data_give_equal_bytes(
    tmp_path: Path, example: Any, overview: Path, coloured_images: Any
) -> None:
    for name in ("a.html", "b.html"):
        report(tmp_path / name, example, overview, images=coloured_images)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_thumbnails_are_small_and_of_the_right_image(
    tmp_path: Path, example: Any, overview: Path, coloured_images: Any
) -> None:
    page = Page(report(tmp_path / "a.html", example, overview, images=coloured_images, queries=1))
    pictures = []
    for attributes in page.all("img")[1:]:
        data = base64.b64decode((attributes["src"] or "").split(",")[1])
        pictures.append(Image.open(io.BytesIO(data)))
    assert {picture.size for picture in pictures} == {(112, 75)}
    shades = [round(np.asarray(picture)[..., 0].mean() / 8) for picture in pictures]
    query = int(example.dataset.rows("test")[0])
    neighbours = example.evaluation.predictions["test"].neighbours.rows[0]
    assert shades == [query, *example.dataset.rows("train")[neighbours]]


def test_without_images_their_names_are_shown(tmp_path: Path, example: Any, overview: Path) -> None:
    page = Page(report(tmp_path / "a.html", example, overview))
    assert len(page.all("img")) == 1
    assert "val2014/03.jpg" in page.texts


@pytest.mark.parametrize(("queries", "shown"), [(1, 1), (2, 2), (3, 3), (8, 8), (100, 8)])
def test_queries_are_spread_over_the_split(
    tmp_path: Path, example: Any, overview: Path, queries: int, shown: int
) -> None:
    page = Page(report(tmp_path / "a.html", example, overview, queries=queries))
    assert len(page.all("article")) == shown
    text = "".join(page.texts)
    assert "val2014/03.jpg" in text
    assert queries == 1 or "val2014/31.jpg" in text


def test_a_query_shows_truth_prediction_and_what_neighbours_share(
    tmp_path: Path, example: Any, overview: Path
) -> None:
    page = Page(report(tmp_path / "a.html", example, overview, queries=1))
    dataset, test = example.dataset, example.evaluation.predictions["test"]
    labels, row = dataset.labels(), int(dataset.rows("test")[0])
    names = np.array(dataset.category_names)
    assert f"true: {', '.join(names[labels[row] > 0])}" in page.texts
    best = np.argsort(-test.scores["knn"][0], kind="stable")[:2]
    for c in best:
        assert f"{names[c]} {test.scores['knn'][0, c]:.2f}" in page.texts
    marks = [found["class"] for found in page.all("span")]
    assert marks == ["hit" if labels[row, c] else "miss" for c in best]
    neighbour = int(dataset.rows("train")[test.neighbours.rows[0, 0]])
    shared = ", ".join(names[(labels[row] & labels[neighbour]) > 0]) or "nothing shared"
    assert f"{test.neighbours.similarities[0, 0]:.2f} {shared}" in page.texts


def test_an_image_without_labels_says_so(tmp_path: Path, example: Any, overview: Path) -> None:
    page = Page(report(tmp_path / "a.html", example, overview))
    assert "true: none" in page.texts
    assert any(text.endswith("nothing shared") for text in page.texts)


def test_the_table_is_in_percent(tmp_path: Path, example: Any, overview: Path) -> None:
    text = report(tmp_path / "a.html", example, overview)
    assert (
        "<tr><td>fused</td><td>61.3</td><td>70.0</td><td>75.0</td><td></td><td>50.0</td></tr>"
        in text
    )
    assert "<th>row</th><th>knn</th><th>mlp</th><th>hybrid</th>" in text


def test_a_failure_leaves_the_old_page(tmp_path: Path, example: Any, overview: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("old", encoding="utf-8")

    class Broken:
        def open(self, file_name: str) -> Image.Image:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report(path, example, overview, images=Broken())
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.html"]


def test_the_overview_is_the_same_picture_every_time(tmp_path: Path, example: Any) -> None:
    labels = example.dataset.labels()[example.dataset.rows("test")]
    for name in ("a.png", "b.png"):
        draw_overview(tmp_path / name, example.history, example.evaluation, labels)
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (1200, 360)
        assert len(set(np.asarray(picture.convert("L")).ravel())) > 20
        # Nothing of the machine or its versions is in it.
        assert set(picture.info) <= {"dpi"}


def test_neighbours_that_were_not_found_are_not_shown(
    tmp_path: Path, example: Any, overview: Path
) -> None:
    whole = Page(report(tmp_path / "a.html", example, overview)).all("figure")
    predictions = example.evaluation.predictions
    rows = predictions["test"].neighbours.rows.copy()
    rows[:, 3:] = -1
    neighbours = predictions["test"].neighbours._replace(rows=rows)
    changed = replace(
        example.evaluation,
        predictions={**predictions, "test": replace(predictions["test"], neighbours=neighbours)},
    )
    fewer = Page(report(tmp_path / "b.html", example, overview, evaluation=changed)).all("figure")
    # 8 queries, each with its own picture and 5 neighbours, or 3.
    assert (len(whole), len(fewer)) == (8 * 6, 8 * 4)


def test_errors_are_a_part_of_it_where_they_are_known(
    tmp_path: Path, example: Any, overview: Path
) -> None:
    title = "Where the tags are wrong"
    assert title not in report(tmp_path / "a.html", example, overview)
    page = Page(report(tmp_path / "b.html", example, overview, errors=example.errors))
    assert title in page.texts
    assert "<b>cat</b>" in page.texts
