"""The report page in headless Chromium: nothing fails, filters filter, keys page."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.browser import CHROMIUM, Browser
from tests.reporting.report_example import report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

POSITION = "document.getElementById('position').textContent"
CARD = "document.getElementById('card')"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, example: Any, coloured_images: Any) -> Path:
    path = tmp_path_factory.mktemp("browser") / "index.html"
    report(path, example, coloured_images)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


def choose(browser: Browser, control: str, value: str) -> None:
    browser.run(
        f"{{const c = document.getElementById('{control}'); c.value = '{value}';"
        "c.dispatchEvent(new Event('change'))}"
    )


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (400, False)])
def test_the_page_renders_without_a_complaint(
    browser: Browser, page: Path, width: int, dark: bool
) -> None:
    browser.problems.clear()
    browser.requests.clear()
    browser.open(page, width=width, height=900, dark=dark)
    assert browser.problems == []
    assert browser.requests == [page.as_uri()]
    assert browser.run("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    # Nothing is wider than the screen, and the style was let through by the policy.
    assert browser.run("document.documentElement.scrollWidth") == width
    columns = browser.run(
        "getComputedStyle(document.querySelector('.charts')).gridTemplateColumns.split(' ').length"
    )
    assert columns == (2 if width > 700 else 1)
    assert browser.run("document.querySelectorAll('main svg[role=img]').length") >= 10
    assert browser.run("window.alert.toString().includes('native code')")


def test_the_gallery_pages_by_key_and_button(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run(POSITION) == "1 of 8"
    first = browser.run(f"{CARD}.querySelector('blockquote').textContent")
    assert first == '<script>alert("a & b")</script>'
    assert browser.run(f"{CARD}.querySelectorAll('.neighbours li').length") == 5
    assert browser.run("document.getElementById('previous').disabled")
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    assert browser.run(POSITION) == "3 of 8"
    browser.press("ArrowLeft")
    assert browser.run(POSITION) == "2 of 8"
    assert browser.run(f"{CARD}.querySelector('.photo').alt") == '" onerror="alert(1)'
    browser.run("document.getElementById('next').click()")
    assert browser.run(POSITION) == "3 of 8"
    browser.run("document.querySelectorAll('#strip button')[7].click()")
    assert browser.run(POSITION) == "8 of 8"
    assert browser.run("document.getElementById('next').disabled")
    assert browser.run(f"{CARD}.textContent.includes('true tags: none')")
    browser.press("ArrowRight")
    assert browser.run(POSITION) == "8 of 8"


def test_filters_leave_what_fits(browser: Browser, page: Path, example: Any) -> None:
    browser.open(page)
    cards = browser.run("JSON.parse(document.getElementById('data').textContent).cards")
    for outcome, right in (("success", True), ("failure", False)):
        choose(browser, "outcome", outcome)
        fitting = sum(card["right"] is right for card in cards)
        assert browser.run(POSITION).endswith(f" of {fitting}")
        shown = browser.run(f"{CARD}.querySelector('.verdict')?.textContent ?? 'none'")
        assert shown.startswith(outcome) or not fitting
    choose(browser, "outcome", "all")
    choose(browser, "class", "2")
    fitting = sum(2 in card["true"] or 2 in card["decided"] for card in cards)
    assert 0 < fitting < 8
    assert browser.run(POSITION) == f"1 of {fitting}"
    label = browser.run("document.querySelector('#class option:checked').textContent")
    assert label == f"<b>cat</b> ({fitting})"
    choose(browser, "class", "")
    choose(browser, "order", "worst")
    worst = min(range(8), key=lambda place: (cards[place]["f1"], place))
    file = browser.run(f"{CARD}.querySelector('.file').textContent")
    assert file == f"val2014/{int(cards[worst]['photo']):02d}.jpg"
    # The classes on offer are those of a card: nothing shows a unicorn.
    assert not browser.run("document.getElementById('class').textContent.includes('unicorn')")


def test_a_filter_that_nothing_fits_says_so(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.getElementById('class').append(new Option('none', '3'))")
    choose(browser, "class", "3")
    assert browser.run(POSITION) == "0 of 0"
    assert "No query fits" in browser.run(f"{CARD}.textContent")


def test_the_colours_can_be_switched(browser: Browser, page: Path) -> None:
    browser.open(page)
    theme = "document.documentElement.dataset.theme"
    background = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(background)
    browser.run("document.getElementById('theme').click()")
    assert browser.run(theme) == "dark"
    assert browser.run(background) != light
    browser.run("document.getElementById('theme').click()")
    assert browser.run(theme) == "light"
    browser.run("localStorage.clear()")


def test_the_pointer_reads_a_line(browser: Browser, page: Path) -> None:
    browser.open(page)
    chart = "document.querySelector('#curves svg')"
    browser.run(f"{chart}.scrollIntoView({{block: 'center'}})")
    box = browser.run(f"{chart}.getBoundingClientRect().toJSON()")
    browser.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    read = browser.run("document.getElementById('tip').textContent")
    assert [line.split(":")[0] for line in read.split("\n")] == ["knn", "mlp", "hybrid"]
    assert "recall" in read
    browser.move(1, 1)
    assert browser.run("document.getElementById('tip').hidden")


def test_a_table_sorts_by_its_columns(browser: Browser, page: Path) -> None:
    browser.open(page)
    names = "[...document.querySelectorAll('.sortable tbody th')].map((one) => one.textContent)"
    head = "document.querySelectorAll('.sortable thead th')"
    browser.run(f"{head}[0].focus()")
    browser.press("Enter")
    assert browser.run(names) == sorted(["person", "hot dog", "<b>cat</b>"])
    browser.run(f"{head}[0].click()")
    assert browser.run(names) == sorted(["person", "hot dog", "<b>cat</b>"], reverse=True)
    assert browser.run(f"{head}[0].getAttribute('aria-sort')") == "descending"


def test_the_keyboard_reaches_everything_in_order(browser: Browser, page: Path) -> None:
    browser.open(page)
    reached = []
    for _ in range(60):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.id || document.activeElement.className"))
    places = [reached.index(name) for name in ("skip", "theme", "class", "outcome", "next")]
    assert places == sorted(places)
    unnamed = browser.run(
        "[...document.querySelectorAll('button, select, [tabindex=\"0\"], svg[role=img]')].filter("
        "(one) => !(one.getAttribute('aria-label') || one.textContent || one.labels?.length))"
        ".length"
    )
    assert unnamed == 0


# Nothing keeps a folder of COCO from such a name.
FOLDERS = "my coco/50%20 Größe #1?"
PHOTOS_OF_TEST = [f"val2014/{number:02d}.jpg" for number in range(3, 32, 4)]
WIDTHS = "[...document.querySelectorAll('#card img')].map((one) => one.naturalWidth)"


@pytest.fixture
def linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: Any, coloured_images: Any
) -> Any:
    """Write a page that links to photos below the project or elsewhere; photos, page."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)

    def write(inside: bool, embed: bool) -> tuple[Path, Path]:
        photos = (project if inside else tmp_path) / FOLDERS
        page = project / "reports" / "index.html"
        for name in example.dataset.frame["file_name"]:
            (photos / name).parent.mkdir(parents=True, exist_ok=True)
            coloured_images.open(name).save(photos / name)
        report(page, example, coloured_images if embed else None, locate=photos.joinpath)
        return photos, page

    return write


@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_photos_are_linked_and_shown_from_disk(
    browser: Browser, linked: Any, inside: bool, embed: bool
) -> None:
    photos, page = linked(inside, embed)
    browser.problems.clear()
    browser.requests.clear()
    browser.open(page, height=4000)
    shown = "[...document.images].every((one) => one.complete && one.naturalWidth)"
    assert browser.comes_true(shown, 20), shown
    # The query and its neighbours: as on disk, or the embedded copies of 240 and 96 pixels.
    assert browser.run(WIDTHS) == ([240] + [96] * 5 if embed else [300] * 6)
    assert browser.run(f"{CARD}.querySelector('.photo').width") == 240
    assert browser.run(f"{CARD}.querySelector('li img').width") <= 150
    links = browser.run("[...document.querySelectorAll('#card a')].map((one) => one.href)")
    files = {(photos / name).as_uri() for name in PHOTOS_OF_TEST}
    assert len(links) == 6
    assert links[0] in files
    assert browser.run("document.querySelectorAll('#card a > img').length") == 6
    assert browser.problems == []
    assert {url.rpartition("/")[0] for url in browser.requests} == {
        page.parent.as_uri(),
        *([] if embed else [(photos / "val2014").as_uri()]),
    }


def test_a_link_opens_the_photo_in_a_new_tab_by_key(browser: Browser, linked: Any) -> None:
    _, page = linked(False, True)
    browser.open(page)
    browser.run("document.querySelector('#strip button:last-child').focus()")
    browser.press("Tab")
    link = "document.activeElement"
    assert browser.run(f"{link}.matches('#card a')")
    assert browser.run(f"[{link}.target, {link}.rel]") == ["_blank", "noopener"]
    caption = '<script>alert("a & b")</script>'
    name = browser.run(f"{link}.getAttribute('aria-label')")
    assert name == f"{caption} (full size, in a new tab)"
    assert browser.run(f"{link}.querySelector('img').alt") == caption
    assert browser.run(f"getComputedStyle({link}).outlineStyle") == "solid"
    href = browser.run(f"{link}.href")
    browser.press("Enter")
    end = time.monotonic() + 20
    while href not in (opened := browser.tabs()):
        assert time.monotonic() < end, opened
    browser.call("Target.closeTarget", targetId=opened[href])


def test_a_photo_that_is_gone_shows_its_name(browser: Browser, linked: Any) -> None:
    photos, page = linked(False, False)
    shutil.rmtree(photos)
    browser.open(page, height=4000)
    assert browser.comes_true("document.images.length === 0", 20)
    names = browser.run("[...document.querySelectorAll('.nophoto')].map((one) => one.textContent)")
    assert names[:8] == PHOTOS_OF_TEST  # the strip
    assert len(names) == 8 + 6
    assert names[8] == PHOTOS_OF_TEST[0]
    assert browser.run("document.querySelectorAll('#card a').length") == 0
