"""The report page: safe to open, complete in one file, the same bytes for the same data."""

import base64
import hashlib
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.reporting import page as page_module
from siglip2_multimodal_hash.reporting.pictures import draw_overview
from siglip2_multimodal_hash.reporting.web.inputs import provenance, read_inputs, read_records
from siglip2_multimodal_hash.reporting.web.template import vega
from tests.html_pages import Page
from tests.parameters import PARAMS, params_with
from tests.reporting.report_example import KNN, data_of, report


def test_captions_categories_and_titles_are_text_only(
    tmp_path: Path, example: Any, coloured_images: Any
) -> None:
    text = report(tmp_path / "a.html", example, coloured_images)
    page = Page(text)
    kinds = [one.get("type") for one in page.all("script")]
    assert {*kinds[:-2]} == {"application/json"}
    assert kinds[-2:] == ["module", "module"]
    for tag in ("b", "i", "codes", "row", "cat"):
        assert all(set(one) <= {"class"} for one in page.all(tag))
    assert not [one for one in page.all("i") if not (one["class"] or "").startswith("key")]
    assert not any(name.startswith("on") for _, found in page.elements for name in found)
    shown = "".join(page.texts)
    for part in ("<b>cat</b>", "Tags & <codes>", "odd<row", "<i>hard</i>"):
        assert part in shown
    captions = {photo["caption"] for photo in data_of(text)["photos"].values()}
    assert '<script>alert("a & b")</script>' in captions
    assert "<script>alert" not in text


def test_the_page_names_what_chose_the_checkpoint(tmp_path: Path, example: Any) -> None:
    # The figure depends on the parameters: it is not always mAP.
    text = report(tmp_path / "a.html", example)
    assert "<code>training.monitor</code>" in text
    assert "chosen by mAP" not in text


def test_terms_lead_to_their_meaning(tmp_path: Path, example: Any) -> None:
    page = Page(report(tmp_path / "a.html", example))
    meanings = {one["id"] for one in page.all("dd") if "id" in one}
    used = {one["aria-describedby"] for one in page.all("abbr")}
    assert {"term-knn", "term-map", "term-95-interval", "term-precision"} <= used <= meanings
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(ids) == len({*ids})


def test_every_section_says_what_it_shows(tmp_path: Path, example: Any) -> None:
    text = report(tmp_path / "a.html", example)
    for section in re.findall("<section.*?</section>", text, re.S):
        assert section.count('<p class="lead">') == 1
        assert re.search(r'<p class="lead">[A-Z].*\.</p>', section)


def test_provenance_is_that_of_the_parameters_not_of_a_clone(tmp_path: Path, example: Any) -> None:
    made = provenance(PARAMS)
    assert [*made] == ["seed", "objective", "protocol", "checkpoint", "towers", "versions"]
    assert made["checkpoint"] == PARAMS.backbone.checkpoint
    assert "+" not in made["versions"]
    hub = {"backbone.checkpoint": "google/siglip2-base-patch16-256", "backbone.revision": "abc"}
    assert provenance(params_with(hub))["revision"] == "abc"
    text = report(tmp_path / "a.html", example)
    assert "<dt>checkpoint</dt><dd>&lt;owner&gt;/name</dd>" in text
    assert "-- dvc.lock</code>" in text


def test_the_page_needs_no_other_file(tmp_path: Path, example: Any, coloured_images: Any) -> None:
    # Vega names the homes of its schemas, which nothing opens: the policy allows no network.
    text = report(tmp_path / "a.html", example, coloured_images).replace(vega(), "")
    page = Page(text)
    assert page.open == []
    assert not page.all("br")
    links = {
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "data", "action", "poster", "style"}
    }
    assert links
    assert all((link or "").startswith("#") for link in links)
    assert {link for link in links if link != "#main"} <= {
        f"#{one['id']}" for one in page.all("section")
    }
    schemas = re.sub(r'"\$schema":"https:[\w./-]+"', "", text)
    assert "http:" not in schemas
    assert "https:" not in schemas
    assert "url(" not in text
    assert "@import" not in text


def test_the_policy_allows_this_script_and_style_only(tmp_path: Path, example: Any) -> None:
    text = report(tmp_path / "a.html", example)
    policy = next(one["content"] or "" for one in Page(text).all("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    contents = re.findall(r'<(?:style|script type="module")>(.*?)</(?:style|script)>', text, re.S)
    assert len(contents) == 3
    for content in contents:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_without_scripts_the_page_says_where_the_figures_are(tmp_path: Path, example: Any) -> None:
    text = report(tmp_path / "a.html", example)
    said = re.search(r"<noscript>(.*?)</noscript>", text, re.S)
    assert said is not None
    assert "The charts and the gallery need JavaScript. The tables do not" in said[1]


def test_equal_data_give_equal_bytes(tmp_path: Path, example: Any, coloured_images: Any) -> None:
    for name in ("a.html", "b.html"):
        report(tmp_path / name, example, coloured_images)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_thumbnails_are_small_and_of_the_right_image(
    tmp_path: Path, example: Any, coloured_images: Any
) -> None:
    data = data_of(report(tmp_path / "a.html", example, coloured_images, queries=1))
    card = data["cards"][0]
    query = int(example.dataset.rows("test")[0])
    neighbours = example.evaluation.predictions["test"].neighbours.rows[0]
    rows = [query, *example.dataset.rows("database")[neighbours]]
    keys = [card["photo"], *(one[0] for one in card["neighbours"])]
    assert keys == [str(query), *(f"n{row}" for row in rows[1:])]
    for key, row in zip(keys, rows, strict=True):
        picture = Image.open(io.BytesIO(base64.b64decode(data["photos"][key]["url"].split(",")[1])))
        assert picture.size == ((240, 160) if key == str(query) else (96, 64))
        assert round(np.asarray(picture)[..., 0].mean() / 8) == row


def test_pictures_stop_where_the_page_is_full(
    tmp_path: Path, example: Any, coloured_images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = len(report(tmp_path / "a.html", example).encode())
    whole = len(report(tmp_path / "b.html", example, coloured_images).encode())
    limit = (plain + 4 * whole) // 5
    monkeypatch.setattr(page_module, "MOST_BYTES", limit)
    text = report(tmp_path / "c.html", example, coloured_images)
    assert plain < len(text.encode()) <= limit
    data = data_of(text)
    # Queries come first, so they have theirs.
    assert all("url" in data["photos"][card["photo"]] for card in data["cards"])
    assert not all("url" in photo for photo in data["photos"].values())


def test_without_images_their_names_are_there(tmp_path: Path, example: Any) -> None:
    text = report(tmp_path / "a.html", example)
    assert "data:image" not in text
    assert data_of(text)["photos"]["3"]["file"] == "val2014/03.jpg"


@pytest.mark.parametrize(("queries", "shown"), [(1, 1), (2, 2), (3, 3), (8, 8), (100, 8)])
def test_queries_are_spread_over_the_split(
    tmp_path: Path, example: Any, queries: int, shown: int
) -> None:
    cards = data_of(report(tmp_path / "a.html", example, queries=queries))["cards"]
    assert len(cards) == shown
    assert cards[0]["photo"] == "3"
    assert queries == 1 or cards[-1]["photo"] == "31"


def test_a_section_without_data_is_left_out(tmp_path: Path, example: Any) -> None:
    page = Page(report(tmp_path / "a.html", example, grid=[], errors=None))
    ids = [one["id"] for one in page.all("section")]
    assert ids == [
        *("headline", "queries", "figures", "training", "curves", "classes"),
        *("glossary", "provenance"),
    ]


def test_a_head_without_codes_has_a_page(
    tmp_path: Path, uncoded: Any, coloured_images: Any
) -> None:
    knn = KNN.model_copy(update={"distance": "cosine"})
    text = report(tmp_path / "a.html", uncoded, coloured_images, knn=knn)
    assert "(1 − cosine) / 2" in text
    assert data_of(text)["bits"] is None
    assert data_of(text)["cards"][0]["neighbours"][0][1] is None


def test_a_failure_leaves_the_old_page(tmp_path: Path, example: Any) -> None:
    path = tmp_path / "a.html"
    path.write_text("old", encoding="utf-8")

    class Broken:
        def open(self, file_name: str) -> Image.Image:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report(path, example, Broken())
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.html"]


def test_inputs_are_read_with_or_without_what_may_be_missing(tmp_path: Path, example: Any) -> None:
    (tmp_path / "baselines.json").write_text('{"fused": {}}', encoding="utf-8")
    (tmp_path / "fit.json").write_text('{"best_epoch": 4}', encoding="utf-8")
    for split in ("train", "val"):
        (tmp_path / f"training_{split}.csv").write_text("epoch,total\n1,2.5\n", encoding="utf-8")
    parts: tuple[Any, ...] = (example.dataset, example.evaluation, example.codes, PARAMS, {})
    inputs = read_inputs(*parts, details=tmp_path, plots=tmp_path)
    assert inputs.title == "Multi-label tags and retrieval on mojicoco with siglip2-tiny"
    assert inputs.best_epoch == 4
    assert inputs.training["val"] == [{"epoch": "1", "total": "2.5"}]
    assert (inputs.grid, inputs.errors) == ([], None)
    (tmp_path / "errors.json").write_text("{}", encoding="utf-8")
    (tmp_path / "knn_grid.csv").write_text("K,map_knn\n5,.5\n", encoding="utf-8")
    inputs = read_inputs(*parts, details=tmp_path, plots=tmp_path)
    assert (inputs.grid, inputs.errors) == ([{"K": "5", "map_knn": ".5"}], {})


@pytest.mark.parametrize("name", ["baselines", "errors", "fit"])
@pytest.mark.parametrize("content", ["[]", "3", "null", '"x"'])
def test_figures_of_another_form_are_named(
    tmp_path: Path, example: Any, name: str, content: str
) -> None:
    (tmp_path / "baselines.json").write_text('{"fused": {}}', encoding="utf-8")
    (tmp_path / "fit.json").write_text('{"best_epoch": 4}', encoding="utf-8")
    (tmp_path / f"{name}.json").write_text(content, encoding="utf-8")
    parts: tuple[Any, ...] = (example.dataset, example.evaluation, example.codes, PARAMS, {})
    with pytest.raises(DataError, match=rf"{name}\.json: not what(.|\n)*dvc repro summarise"):
        read_inputs(*parts, details=tmp_path, plots=tmp_path)


@pytest.mark.parametrize(
    "content", ["epoch,b\n1\n", "epoch\n1,2\n", "b\n1\n", "epoch\nfirst\n", None]
)
def test_a_damaged_table_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "training_val.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"training_val\.csv"):
        read_records(path, "epoch")


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


def test_neighbours_that_were_not_found_are_not_shown(tmp_path: Path, example: Any) -> None:
    whole = data_of(report(tmp_path / "a.html", example))
    predictions = example.evaluation.predictions
    rows = predictions["test"].neighbours.rows.copy()
    rows[:, 3:] = -1
    neighbours = predictions["test"].neighbours._replace(rows=rows)
    changed = replace(
        example.evaluation,
        predictions={**predictions, "test": replace(predictions["test"], neighbours=neighbours)},
    )
    fewer = data_of(report(tmp_path / "b.html", example, evaluation=changed))
    assert {len(card["neighbours"]) for card in whole["cards"]} == {5}
    assert {len(card["neighbours"]) for card in fewer["cards"]} == {3}
    # Those that were found share the whole vote.
    weights = [sum(one[3] for one in card["neighbours"]) for card in fewer["cards"]]
    assert weights == pytest.approx([1.0] * len(weights), abs=1e-3)
