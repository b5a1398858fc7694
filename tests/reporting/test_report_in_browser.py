"""The report page in headless Chromium: nothing fails, charts are drawn, filters filter."""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dvc_render import render_html
from playwright.sync_api import Browser, Page, ViewportSize, expect

from siglip2_multimodal_hash.reporting.web.template import plots_page
from tests.reporting.browser import CHROMIUM, chromium
from tests.reporting.report_example import BASELINES, ERRORS, report
from tests.reporting.test_plot_templates import renderer_of

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"
)

CHARTS = 9  # two of training, four curves, one of classes, two maps of votes
PHONE: ViewportSize = {"width": 390, "height": 900}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}


def wait_until(page: Page, condition: str) -> None:
    """Poll a condition; Playwright's own waiting evaluates it in a way that the page forbids."""
    deadline = time.monotonic() + 10
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, example: Any, coloured_images: Any) -> Path:
    path = tmp_path_factory.mktemp("browser") / "index.html"
    report(path, example, coloured_images)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


class Visit:
    """A page that was opened, and what happened there.

    Attributes:
        page: Playwright's.
        problems: Console errors and warnings, uncaught exceptions.
        requests: Addresses that were asked for, data URLs left out.
    """

    def __init__(self, browser: Browser, path: Path, **settings: Any) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        settings.setdefault("viewport", DESKTOP)
        self.page = browser.new_page(**settings)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", self._request)
        self.page.goto(path.as_uri())

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith("data:"):
            self.requests.append(request.url)


@pytest.fixture(scope="module")
def window(browser: Browser) -> Page:
    """A window for one page after another: it compiles their scripts once."""
    return browser.new_page()


@pytest.fixture
def page(window: Page, path: Path) -> Iterator[Page]:
    window.set_viewport_size(DESKTOP)
    window.mouse.move(0, 0)
    window.goto(path.as_uri())
    yield window
    window.evaluate("localStorage.clear()")
    window.goto("about:blank")


def position(page: Page) -> str:
    return page.locator("#position").text_content() or ""


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_the_page_renders_without_a_complaint(
    browser: Browser, path: Path, width: int, scheme: str
) -> None:
    visit = Visit(browser, path, viewport=PHONE | {"width": width}, color_scheme=scheme)
    page = visit.page
    expect(page.locator(".chart > svg")).to_have_count(CHARTS)
    assert visit.problems == []
    assert visit.requests == [path.as_uri()]
    assert page.locator("html").get_attribute("data-theme") == scheme
    # Nothing is wider than the screen, and the style was let through by the policy.
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Nor is a column of a table.
    hidden = page.locator(".scroll").evaluate_all(
        "(all) => all.filter((a) => a.scrollWidth > a.clientWidth).map((a) => a.ariaLabel)"
    )
    assert hidden == []
    columns = page.evaluate(
        "getComputedStyle(document.querySelector('.charts')).gridTemplateColumns.split(' ').length"
    )
    assert columns == (2 if width > 700 else 1)
    assert page.evaluate("window.alert.toString().includes('native code')")
    page.close()


LONG = "Donaudampfschiff" * 25
WIDEST = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"


def with_long_words(example: Any) -> dict[str, Any]:
    """Inputs of the page whose classes, captions, files and titles are a word of 400 letters."""
    frame = example.dataset.frame
    dataset = replace(
        example.dataset,
        frame=frame.assign(
            file_name=[f"{LONG}/{number:02d}.jpg" for number in range(len(frame))],
            captions=[[LONG]] * len(frame),
        ),
        category_names=tuple(f"{LONG}{number}" for number in range(4)),
    )
    one, *others = ERRORS["classes"]
    confused = {"knn": [{"category": LONG, "images": 3}]}
    return {
        "title": LONG,
        "dataset": dataset,
        "baselines": BASELINES | {LONG: {"knn": 0.7}},
        "errors": ERRORS
        | {
            "classes": [one | {"category": LONG, "AP": {"knn": 0.1}, "confused": confused}, *others]
        },
    }


@pytest.mark.parametrize("width", [360, 700, 1280])
@pytest.mark.parametrize("embedded", [True, False])
def test_long_words_widen_nothing(
    browser: Browser,
    tmp_path: Path,
    example: Any,
    coloured_images: Any,
    width: int,
    embedded: bool,
) -> None:
    path = tmp_path / "index.html"
    report(path, example, coloured_images if embedded else None, **with_long_words(example))
    page = Visit(browser, path, viewport=PHONE | {"width": width}).page
    expect(page.locator(".chart > svg")).to_have_count(CHARTS)
    assert page.evaluate(WIDEST) <= page.evaluate("document.documentElement.clientWidth") <= width
    # Nor does a box that scrolls by itself become as wide as a word, or a name crowd out a chart.
    widths = page.locator(".scroll, #card, .tools").evaluate_all(
        "(found) => found.map((one) => one.scrollWidth - one.clientWidth)"
    )
    assert max(widths) < 300
    plots = page.locator(".chart .mark-group.role-frame.root > g > path.background")
    assert min(plots.evaluate_all("(all) => all.map((one) => one.getBBox().width)")) > 150
    page.close()


def test_every_chart_has_a_name_and_fits_its_frame(page: Page) -> None:
    expect(page.locator(".chart > svg")).to_have_count(CHARTS)
    names = page.locator(".chart").evaluate_all("(all) => all.map((one) => one.ariaLabel)")
    assert "Reliability diagram of the predictors, on test" in names
    assert len({*names}) == CHARTS

    def widths() -> list[list[float]]:
        found: list[list[float]] = page.locator(".chart").evaluate_all(
            "(found) => found.map((one) => [one.clientWidth, one.firstChild.clientWidth])"
        )
        return found

    assert all(drawn == frame for frame, drawn in widths())
    page.set_viewport_size(PHONE)  # turned, or made narrower
    wait_until(page, "document.querySelector('.chart > svg').clientWidth < 400")
    assert all(drawn == frame < 400 for frame, drawn in widths())


def test_without_scripts_the_tables_and_the_dark_colours_are_there(
    browser: Browser, path: Path
) -> None:
    visit = Visit(browser, path, java_script_enabled=False, color_scheme="dark")
    expect(visit.page.get_by_role("table").first).to_be_visible()
    expect(visit.page.locator("body")).to_have_css("background-color", "rgb(20, 23, 27)")
    assert visit.page.locator(".chart > svg").count() == 0
    visit.page.close()


def test_the_gallery_pages_by_key_and_button(page: Page) -> None:
    card, following = page.locator("#card"), page.get_by_role("button", name="Next query")
    assert position(page) == "1 of 8"
    assert card.locator("blockquote").text_content() == '<script>alert("a & b")</script>'
    assert card.locator(".neighbours li").count() == 5
    expect(page.get_by_role("button", name="Previous query")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert position(page) == "3 of 8"
    page.keyboard.press("ArrowLeft")
    assert position(page) == "2 of 8"
    assert card.locator(".photo").get_attribute("alt") == '" onerror="alert(1)'
    following.click()
    assert position(page) == "3 of 8"
    page.locator("#strip button").nth(7).click()
    assert position(page) == "8 of 8"
    expect(following).to_be_disabled()
    expect(card).to_contain_text("true tags: none")
    page.keyboard.press("ArrowRight")
    assert position(page) == "8 of 8"


def verdict_of(card: dict[str, Any]) -> str:
    true, decided = {*card["true"]}, {*card["decided"]}
    said = f"{len(true & decided)} of {len(true)} tags right" if true else "no tag to find"
    return f"{said}, {len(decided - true)} wrong" if decided - true else said


def test_filters_leave_what_fits(page: Page) -> None:
    cards = page.evaluate("JSON.parse(document.getElementById('data').textContent).cards")
    verdict = page.locator("#card .verdict")
    for outcome, right in (("success", True), ("failure", False)):
        page.select_option("#outcome", outcome)
        found = [card for card in cards if card["right"] is right]
        assert position(page).endswith(f" of {len(found)}")
        assert not found or verdict.text_content() == verdict_of(found[0])
    page.select_option("#outcome", "all")
    page.select_option("#class", "2")
    fitting = sum(2 in card["true"] or 2 in card["decided"] for card in cards)
    assert 0 < fitting < 8
    assert position(page) == f"1 of {fitting}"
    assert page.locator("#class option:checked").text_content() == f"<b>cat</b> ({fitting})"
    page.select_option("#class", "")
    page.select_option("#order", "worst")
    worst = min(range(8), key=lambda place: (cards[place]["f1"], place))
    file = page.locator("#card .file").text_content()
    assert file == f"val2014/{int(cards[worst]['photo']):02d}.jpg"
    # The classes on offer are those of a card: nothing shows a unicorn.
    expect(page.locator("#class")).not_to_contain_text("unicorn")


def test_a_filter_that_nothing_fits_says_so(page: Page) -> None:
    page.evaluate("document.getElementById('class').append(new Option('none', '3'))")
    page.select_option("#class", "3")
    assert position(page) == "0 of 0"
    expect(page.locator("#card")).to_contain_text("No query fits")


def test_the_colours_can_be_switched_and_charts_follow(page: Page) -> None:
    line = page.locator("#curves .mark-line path").first

    def colours() -> list[str]:
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return [background, line.evaluate("(one) => getComputedStyle(one).stroke")]

    light = colours()
    page.get_by_role("button", name="Switch to dark colours").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert all(dark != before for dark, before in zip(colours(), light, strict=True))
    page.reload()
    page.get_by_role("button", name="Switch to light colours").click()
    assert colours() == light


def test_the_pointer_reads_all_lines_at_once(page: Page) -> None:
    chart, tip = page.locator("#curves .chart").first, page.locator("#tip")
    expect(chart.locator("svg")).to_be_visible()
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    chart.hover(position={"x": 0.6 * box["width"], "y": 0.5 * box["height"]})
    expect(tip).to_be_visible()
    lines = (tip.text_content() or "").split("\n")
    assert [line.split(":")[0] for line in lines] == ["knn", "mlp", "hybrid"]
    assert all(re.search(r"recall [\d.]+, precision [\d.]+ from score", line) for line in lines)
    page.mouse.move(1, 1)
    expect(tip).to_be_hidden()


@pytest.mark.parametrize(
    ("mark", "read"),
    [
        ("#classes .mark-symbol path", r"person: AP [\d.]+, \d+ images"),
        ("#votes .mark-text text", r"hamming, K \d, \w+( τ 0\.07)?: [\d.]+ %"),
        ("#figures thead abbr", "Tags by a vote: the training images .*"),
    ],
)
def test_the_pointer_reads_a_mark(page: Page, mark: str, read: str) -> None:
    expect(page.locator(".chart > svg")).to_have_count(CHARTS)
    page.locator(mark).first.hover()
    expect(page.locator("#tip")).to_have_text(re.compile(f"^{read}$"))


def test_a_term_is_explained_by_key_and_escape_takes_it_away(page: Page) -> None:
    terms, tip = page.locator("#figures abbr"), page.locator("#tip")
    said = page.locator("#term-map").text_content() or ""
    page.locator("#figures .scroll").first.focus()
    page.keyboard.press("Tab")
    expect(tip).to_have_text(said)
    expect(terms.first).to_be_focused()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    # The second time in a section a term is no stop on the way.
    stops = terms.evaluate_all(
        "(all) => all.filter((one) => one.tabIndex === 0).map((one) => one.textContent)"
    )
    assert len(stops) == len({*stops}) < terms.count()


def test_the_marks_of_a_headline_bar_have_their_names_beside_them(page: Page) -> None:
    gauge = page.locator(".gauge").first
    assert gauge.locator("text").all_text_contents() == ["chance 20.0", "zero-shot 40.0"]
    # Beside the line that leads to the mark, within the tile.
    box = page.locator(".tile").first.bounding_box()
    places = gauge.locator("text, .leader").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect()).map((a) => [a.left, a.right])"
    )
    assert box is not None
    for (line, _), (left, right) in zip(places[:2], places[2:], strict=True):
        assert box["x"] < left < right < box["x"] + box["width"]
        assert min(abs(left - line), abs(right - line)) < 12


def test_a_query_has_an_address(browser: Browser, page: Page, path: Path) -> None:
    page.locator("#strip button").nth(2).click()
    caption = page.locator("#card blockquote").text_content()
    page.locator("#card").get_by_role("link", name="link to this query").click()
    address = page.url
    assert re.fullmatch(re.escape(path.as_uri()) + r"#query-\d+", address)
    page.goto("about:blank")
    page.goto(address)
    assert (position(page), page.locator("#card blockquote").text_content()) == ("3 of 8", caption)
    expect(page.locator("#card .photo")).to_be_in_viewport()
    # A filter that hides the query gives way to its address.
    page.evaluate("document.getElementById('class').append(new Option('none', '3'))")
    page.select_option("#class", "3")
    page.evaluate("location.hash = ''")
    assert position(page) == "0 of 0"
    page.evaluate("(hash) => { location.hash = hash; }", address.partition("#")[2])
    wait_until(page, "document.getElementById('position').textContent === '3 of 8'")


def test_a_table_sorts_by_its_columns(page: Page) -> None:
    names, head = page.locator(".sortable tbody th"), page.locator(".sortable thead th")
    expected = sorted(["person", "hot dog", "<b>cat</b>"])
    head.nth(0).focus()
    page.keyboard.press("Enter")
    assert names.all_text_contents() == expected
    head.nth(0).click()
    assert names.all_text_contents() == expected[::-1]
    assert head.nth(0).get_attribute("aria-sort") == "descending"
    head.nth(1).click()
    counts = [int(one) for one in page.locator(".sortable td:nth-child(2)").all_text_contents()]
    assert counts == sorted(counts, reverse=True)


def test_the_keyboard_reaches_everything_in_order(page: Page) -> None:
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.className")
        )
    places = [reached.index(name) for name in ("skip", "theme", "class", "outcome", "next")]
    assert places == sorted(places)
    unnamed = page.locator("button, select, [tabindex='0'], .chart").evaluate_all(
        "(found) => found.filter((one) => !(one.ariaLabel || one.textContent || "
        "one.labels?.length)).length"
    )
    assert unnamed == 0


def test_plots_of_dvc_can_do_without_a_network(browser: Browser, tmp_path: Path) -> None:
    rows = [{"name": name, "share": "0.5"} for name in "abc"]
    plot = renderer_of("bars", rows, "share", "name")
    template, path = tmp_path / "template.html", tmp_path / "index.html"
    template.write_text(plots_page(), encoding="utf-8")
    render_html([plot], path, html_template=template)
    visit = Visit(browser, path)
    expect(visit.page.locator("#plot svg.marks")).to_be_visible()
    assert visit.requests == [path.as_uri()]
    # DVC writes for Vega-Lite 5, which the present one reads.
    assert [one for one in visit.problems if "spec uses Vega-Lite v5" not in one] == []
    visit.page.close()


# Nothing keeps a folder of COCO from such a name.
FOLDERS = "my coco/50%20 Größe #1?"
PHOTOS_OF_TEST = [f"val2014/{number:02d}.jpg" for number in range(3, 32, 4)]
TALL = {"viewport": {"width": 1280, "height": 4000}}


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
        path = project / "reports" / "index.html"
        for name in example.dataset.frame["file_name"]:
            (photos / name).parent.mkdir(parents=True, exist_ok=True)
            coloured_images.open(name).save(photos / name)
        report(path, example, coloured_images if embed else None, locate=photos.joinpath)
        return photos, path

    return write


@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_photos_are_linked_and_shown_from_disk(
    browser: Browser, linked: Any, inside: bool, embed: bool
) -> None:
    photos, path = linked(inside, embed)
    visit = Visit(browser, path, **TALL)
    page = visit.page
    page.locator("#card").scroll_into_view_if_needed()
    wait_until(page, "[...document.images].every((one) => one.complete && one.naturalWidth)")
    # The query and its neighbours: as on disk, or the embedded copies of 240 and 96 pixels.
    widths = page.locator("#card img").evaluate_all("(all) => all.map((one) => one.naturalWidth)")
    assert widths == ([240] + [96] * 5 if embed else [300] * 6)
    assert page.locator("#card .photo").evaluate("(one) => one.width") == 240
    assert page.locator("#card li img").first.evaluate("(one) => one.width") <= 150
    links = page.locator("#card a.full").evaluate_all("(all) => all.map((one) => one.href)")
    assert len(links) == page.locator("#card a.full > img").count() == 6
    assert links[0] in {(photos / name).as_uri() for name in PHOTOS_OF_TEST}
    assert visit.problems == []
    assert {url.rpartition("/")[0] for url in visit.requests} == {
        path.parent.as_uri(),
        *([] if embed else [(photos / "val2014").as_uri()]),
    }
    page.close()


def test_a_link_opens_the_photo_in_a_new_tab_by_key(browser: Browser, linked: Any) -> None:
    _, path = linked(False, True)
    page = Visit(browser, path).page
    page.locator("#strip button").last.focus()
    page.keyboard.press("Tab")
    link = page.locator("#card a.full:focus")
    caption = '<script>alert("a & b")</script>'
    assert link.get_attribute("aria-label") == f"{caption} (full size, in a new tab)"
    assert link.locator("img").get_attribute("alt") == caption
    assert (link.get_attribute("target"), link.get_attribute("rel")) == ("_blank", "noopener")
    assert link.evaluate("(one) => getComputedStyle(one).outlineStyle") == "solid"
    href = link.evaluate("(one) => one.href")
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    assert opened.value.url == href
    page.context.close()


def test_a_photo_that_is_gone_shows_its_name(browser: Browser, linked: Any) -> None:
    photos, path = linked(False, False)
    shutil.rmtree(photos)
    page = Visit(browser, path, **TALL).page
    wait_until(page, "document.images.length === 0")
    names = page.locator(".nophoto").all_text_contents()
    assert names[:8] == PHOTOS_OF_TEST  # the strip
    assert len(names) == 8 + 6
    assert names[8] == PHOTOS_OF_TEST[0]
    assert page.locator("#card a.full").count() == 0
    page.close()
