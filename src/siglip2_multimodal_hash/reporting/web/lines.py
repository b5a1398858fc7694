"""Line charts that a pointer can read: curves, reliability diagrams, distributions."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass

from siglip2_multimodal_hash.reporting.web.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    drawing,
    element,
    frame,
)


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: In the legend.
        colour: A class of page.css: ``knn``, ``mlp``, ``hybrid``, ``one``, ``two``.
        points: (x, y) in the order of the line.
        notes: What the pointer reads at each point; none leaves the line unread.
        dots: Mark each point.
        filled: Shade the area down to the axis.
    """

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    notes: Sequence[str] = ()
    dots: bool = False
    filled: bool = False


def line_chart(
    label: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    diagonal: bool = False,
    marked: tuple[float, str] | None = None,
) -> str:
    """A chart with its legend.

    Args:
        label: What a screen reader says.
        x: Below.
        y: On the left.
        series: At least one; those without a point are left out.
        diagonal: Draw y = x, where calibrated scores lie.
        marked: An x to set off by a vertical line, and what to call it.
    """
    series = [one for one in series if one.points]
    parts = [frame(x, y)]
    if diagonal:
        ends = {"x1": LEFT, "y1": HEIGHT - BOTTOM, "x2": WIDTH - RIGHT, "y2": TOP}
        parts.append(element("line", class_="diagonal", **ends))
    if marked:
        at = x.scale(marked[0])
        parts.append(element("line", class_="marked", x1=at, x2=at, y1=TOP, y2=HEIGHT - BOTTOM))
    drawn = [(one, [(x.scale(a), y.scale(b)) for a, b in one.points]) for one in series]
    parts += [_line(one, pixels) for one, pixels in drawn]
    parts.append(element("line", class_="cursor"))
    hover = {
        "area": [LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM],
        "series": [
            {
                "name": one.name,
                "colour": one.colour,
                "points": [
                    [round(a, 1), round(b, 1), note]
                    for (a, b), note in zip(pixels, one.notes, strict=True)
                ],
            }
            for one, pixels in drawn
            if one.notes
        ],
    }
    written = json.dumps(hover, ensure_ascii=False, separators=(",", ":"))
    return legend(series, marked[1] if marked else None) + drawing(
        label, "".join(parts), hover=written
    )


def legend(series: Sequence[Series], marked: str | None = None) -> str:
    """Names with their colours, as a list above the chart."""
    items = [(one.name, one.colour) for one in series]
    if marked:
        items.append((marked, "mark"))
    return element(
        "ul",
        "".join(
            element("li", element("i", class_=f"key {colour}") + html.escape(name))
            for name, colour in items
        ),
        class_="legend",
    )


def _line(one: Series, pixels: Sequence[tuple[float, float]]) -> str:
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in pixels)
    parts = []
    if one.filled:
        foot = HEIGHT - BOTTOM
        area = f"{path}L{pixels[-1][0]:.1f} {foot}L{pixels[0][0]:.1f} {foot}Z"
        parts.append(element("path", class_=f"area {one.colour}", d=area))
    parts.append(element("path", class_=f"line {one.colour}", d=path))
    if one.dots:
        parts += [element("circle", class_=f"dot {one.colour}", cx=a, cy=b, r=3) for a, b in pixels]
    return "".join(parts)
