"""The page of `smhash predict --explain`: in one file, safe to open, true to the answer."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.prediction.answer import Neighbour, Prediction, Tag
from siglip2_multimodal_hash.prediction.page import write_page
from tests.html_pages import Page
from tests.reporting.browser import CHROMIUM, chromium


class Images:
    """Of one colour each."""

    def open(self, file_name: str) -> Image.Image:
        return Image.new("RGB", (300, 200), (8 * int(file_name[-6:-4]), 40, 40))

    def read(self, file_name: str) -> bytes:
        raise AssertionError(file_name)

    def decode(self, data: bytes, file_name: str) -> Image.Image:
        raise AssertionError(file_name)


@pytest.fixture
def prediction(tmp_path: Path) -> Prediction:
    path = tmp_path / "<b>mine & co.png"
    Image.new("RGB", (900, 600), (200, 40, 40)).save(path)
    neighbours = tuple(
        Neighbour(
            image_id=number,
            file_name=f"val2014/{number:02d}.jpg",
            distance=float(number),
            similarity=1 - number / 64,
            weight=0.25,
            labels=("dog", "<i>cat</i>"),
            shared=("dog",),
            caption='" onerror="alert(1)' if number == 3 else f"caption {number}",
        )
        for number in range(4)
    )
    return Prediction(
        path=path,
        caption='<script>alert("a & b")</script>',
        caption_from="given",
        distance="hamming",
        thresholds={"knn": 0.5, "mlp": 0.25, "hybrid": 0.375},
        predicted=("dog",),
        tags=(
            Tag("dog", {"knn": 1.0, "mlp": 0.125, "hybrid": 0.5625}, ("knn", "hybrid")),
            Tag("<i>cat</i>", {"knn": 0.0, "mlp": 0.25, "hybrid": 0.125}, ("mlp",)),
        ),
        neighbours=neighbours,
    )


def test_it_needs_no_other_file_and_is_safe_to_open(tmp_path: Path, prediction: Prediction) -> None:
    write_page(tmp_path / "out.html", [prediction], ["a <note>"], Images())
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert not any(page.all(name) for name in ("script", "b", "i", "note", "link"))
    sources = [attributes["src"] or "" for attributes in page.all("img")]
    assert len(sources) == 5
    assert all(re.fullmatch(r"data:image/jpeg;base64,[\w+/=]+", one) for one in sources)
    assert not any(word in text for word in ("http", "url(", "@import", "href"))
    shown = "".join(page.texts)
    for part in ("a <note>", '<script>alert("a & b")</script>', "<b>mine & co.png", "<i>cat</i>"):
        assert part in shown
    assert '" onerror="alert(1)' in [attributes["alt"] for attributes in page.all("img")]


def test_pictures_scores_and_neighbours_are_those_of_the_prediction(
    tmp_path: Path, prediction: Prediction
) -> None:
    write_page(tmp_path / "out.html", [prediction], [], Images())
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    page = Page(text)
    pictures = [
        Image.open(io.BytesIO(base64.b64decode((one["src"] or "").split(",")[1])))
        for one in page.all("img")
    ]
    assert [one.size for one in pictures] == [(448, 299), *[(112, 75)] * 4]
    assert (
        '<tr><td>dog</td><td class="above">1.000</td><td class="below">0.125</td>'
        '<td class="above">0.562</td></tr>' in text
    )
    assert "<td>0.500</td><td>0.250</td><td>0.375</td>" in text
    assert "2: distance 2, weight 0.250" in page.texts
    assert text.count('<span class="hit">dog</span>') == 4


def test_a_photo_unlike_the_dataset_is_said(tmp_path: Path, prediction: Prediction) -> None:
    strange = replace(prediction, warning="unlike <all> others")
    write_page(tmp_path / "out.html", [prediction, strange], [], Images())
    assert (
        Page((tmp_path / "out.html").read_text(encoding="utf-8")).texts.count("unlike <all> others")
        == 1
    )


def test_a_caption_that_was_not_given_is_said(tmp_path: Path, prediction: Prediction) -> None:
    bare = replace(prediction, caption=None, caption_from="nearest_images", predicted=())
    write_page(tmp_path / "out.html", [bare], [], Images())
    shown = "".join(Page((tmp_path / "out.html").read_text(encoding="utf-8")).texts)
    assert "caption: none given: the mean of the captions" in shown
    assert "tags of hybrid: none reaches the threshold" in shown


def test_a_page_that_is_too_large_is_refused(tmp_path: Path, prediction: Prediction) -> None:
    path = tmp_path / "out.html"
    path.write_text("old", encoding="utf-8")
    # Each takes more than 2 MB of the page's 5.
    large = replace(prediction, caption="x" * 2_000_000)
    with pytest.raises(InputError, match=r"(?s)page of 9 photos .* at most 2 of them"):
        write_page(path, [large] * 9, [], Images())
    assert path.read_text(encoding="utf-8") == "old"


def test_a_photo_that_is_gone_leaves_no_page(tmp_path: Path, prediction: Prediction) -> None:
    prediction.path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        write_page(tmp_path / "out.html", [prediction], [], Images())
    assert not list(tmp_path.iterdir())


def test_no_place_of_the_camera_is_passed_on(tmp_path: Path, prediction: Prediction) -> None:
    exif = Image.Exif()
    exif[0x010E] = "GPS of my home"
    Image.new("RGB", (8, 8)).save(tmp_path / "home.jpg", exif=exif)
    here = replace(prediction, path=tmp_path / "home.jpg")
    write_page(tmp_path / "out.html", [here], [], Images())
    source = Page((tmp_path / "out.html").read_text(encoding="utf-8")).all("img")[0]["src"] or ""
    assert b"GPS of my home" not in base64.b64decode(source.split(",")[1])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")
def test_long_words_widen_nothing(tmp_path: Path, prediction: Prediction) -> None:
    word = "Donaudampfschiff" * 25
    photo = prediction.path.rename(tmp_path / f"{'x' * 200}.png")
    (first, *others) = prediction.neighbours
    prediction = replace(
        prediction,
        path=photo,
        caption=word,
        predicted=(word,),
        tags=tuple(replace(tag, name=f"{tag.name}{word}") for tag in prediction.tags),
        neighbours=(replace(first, labels=(word,), shared=(word,), caption=word), *others),
    )
    write_page(tmp_path / "page.html", [prediction], [word], Images())
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 360, "height": 900})
        page.goto((tmp_path / "page.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.evaluate("document.querySelector('.scroll').scrollWidth") <= 480
