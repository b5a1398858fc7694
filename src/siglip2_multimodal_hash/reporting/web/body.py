"""The body of the page: its bar, its sections, and the frame of the gallery."""

import html
from collections.abc import Sequence
from typing import NamedTuple

from siglip2_multimodal_hash.reporting.web.svg import element

ORDERS = {"split": "as in the split", "worst": "worst first", "best": "best first"}
OUTCOMES = {"all": "all", "success": "successes", "failure": "failures"}


class Section(NamedTuple):
    """A part of the page; ``content`` is markup, the rest is text."""

    id: str
    title: str
    lead: str
    content: Sequence[str]


def page_body(title: str, sections: Sequence[Section], last: Sequence[Section] = ()) -> str:
    """The bar with links to the sections, then the sections under the page's title."""
    every = [*sections, *last]
    links = "".join(element("a", html.escape(one.title), href=f"#{one.id}") for one in every)
    toggle = element("button", "Dark", id="theme", type="button")
    bar = element("header", element("nav", links, aria_label="Sections") + toggle, class_="bar-top")
    written = "".join(_section(one, first=one is every[0]) for one in every)
    return bar + element("main", element("h1", html.escape(title)) + written, id="main")


def _section(one: Section, *, first: bool) -> str:
    # The first section stands right under the page's title, which is heading enough.
    head = "" if first else element("h2", html.escape(one.title))
    lead = element("p", html.escape(one.lead), class_="lead") if one.lead else ""
    return element("section", head + lead + "".join(one.content), id=one.id, aria_label=one.title)


def gallery_section(threshold: float) -> Section:
    """The controls of the gallery and the places that gallery.js fills.

    Args:
        threshold: Lowest score of a predicted tag.
    """
    controls = "".join(
        [
            _select("class", "class", {"": "all classes"}),
            _select("outcome", "outcome", OUTCOMES),
            _select("order", "order", ORDERS),
            element(
                "div",
                element("button", "←", id="previous", type="button", aria_label="Previous query")
                + element("output", "", id="position", aria_live="polite")
                + element("button", "→", id="next", type="button", aria_label="Next query"),
                class_="pages",
            ),
        ]
    )
    places = (
        element("div", controls, class_="tools")
        + element("div", "", class_="strip", id="strip")
        + element("div", "", class_="card", id="card")
        + "<noscript><p>The gallery needs JavaScript.</p></noscript>"
    )
    return Section(
        "queries",
        "Queries",
        f"Queries of test with their tags and neighbours. Tags with a score of at least "
        f"{threshold:.3f}, tuned on val, are predicted; a success has exactly the true tags. "
        "Use the arrow keys to page.",
        [element("div", places, id="gallery")],
    )


def _select(name: str, label: str, options: dict[str, str]) -> str:
    written = "".join(
        element("option", html.escape(said), value=key) for key, said in options.items()
    )
    return element("label", label + element("select", written, id=name))
