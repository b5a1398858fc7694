"""Charts that are no lines: a scatter plot, a heat map, bars in a table's cells, strips."""

from collections.abc import Sequence
from typing import NamedTuple

from siglip2_multimodal_hash.reporting.web.svg import Axis, drawing, element, frame, text

CELL_WIDTH, CELL_HEIGHT, LABEL_WIDTH, HEAD_HEIGHT = 48, 26, 104, 40


class Dot(NamedTuple):
    """A point of a scatter plot; ``note`` is what the pointer reads."""

    x: float
    y: float
    note: str


def scatter(
    label: str, x: Axis, y: Axis, dots: Sequence[Dot], named: Sequence[tuple[Dot, str]] = ()
) -> str:
    """Dots in a frame; ``named`` ones get their name beside them where there is room."""
    drawn = "".join(
        element(
            "circle",
            class_="dot knn loose",
            cx=x.scale(dot.x),
            cy=y.scale(dot.y),
            r=4.5,
            data_tip=dot.note,
        )
        for dot in dots
    )
    taken: list[float] = []
    for dot, name in named:
        at, height = x.scale(dot.x), y.scale(dot.y)
        if all(abs(height - other) >= 13 for other in taken):
            taken.append(height)
            right = at < (x.scale.start + x.scale.end) * 0.6
            place = {"x": at + 8 if right else at - 8, "y": height + 4}
            drawn += text(name, class_="name", text_anchor="start" if right else "end", **place)
    return drawing(label, frame(x, y) + drawn)


class Cell(NamedTuple):
    """A cell of a heat map: its value, and whether it is set off and how."""

    value: float | None
    mark: str = ""
    note: str = ""


def heat_map(
    label: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Cell]]],
    *,
    low: float,
    high: float,
    title: str,
) -> str:
    """A grid of shares in percent, the darker the higher.

    Args:
        label: What a screen reader says.
        columns: Their names.
        rows: Name and cells of each; a cell without a value stays empty.
        low: The value of the palest colour.
        high: Of the strongest.
        title: What the columns are.
    """
    width = LABEL_WIDTH + CELL_WIDTH * len(columns)
    height = HEAD_HEIGHT + CELL_HEIGHT * len(rows) + 2
    middle = LABEL_WIDTH + CELL_WIDTH * len(columns) / 2
    parts = [text(title, class_="axis", x=middle, y=12, text_anchor="middle")]
    for column, name in enumerate(columns):
        at = LABEL_WIDTH + CELL_WIDTH * (column + 0.5)
        parts.append(text(name, class_="tick", x=at, y=31, text_anchor="middle"))
    # Set-off cells last, so that no neighbour covers their outline.
    outlines = []
    for row, (name, cells) in enumerate(rows):
        y = HEAD_HEIGHT + CELL_HEIGHT * row
        parts.append(text(name, class_="tick", x=LABEL_WIDTH - 8, y=y + 17, text_anchor="end"))
        for column, cell in enumerate(cells):
            x = LABEL_WIDTH + CELL_WIDTH * column
            if cell.value is not None:
                parts.append(_cell(x, y, cell, low, high))
            if cell.mark:
                box = {"x": x + 1.5, "y": y + 1.5, "width": CELL_WIDTH - 4.0}
                outlines.append(
                    element("rect", class_=cell.mark, **box, height=CELL_HEIGHT - 4.0, rx=4)
                )
    return drawing(label, "".join(parts + outlines), width, height)


def _cell(x: float, y: float, cell: Cell, low: float, high: float) -> str:
    assert cell.value is not None
    share = (cell.value - low) / (high - low) if high > low else 1.0
    opacity = 0.06 + 0.94 * min(max(share, 0), 1) ** 1.5
    box = element(
        "rect",
        class_="heat",
        x=x,
        y=y,
        width=CELL_WIDTH - 1,
        height=CELL_HEIGHT - 1,
        rx=3,
        fill_opacity=opacity,
        data_tip=cell.note or None,
    )
    shade = "on" if opacity > 0.65 else "off"
    number = text(
        f"{100 * cell.value:.1f}",
        class_=f"value {shade}",
        x=x + CELL_WIDTH / 2,
        y=y + 17,
        text_anchor="middle",
    )
    return box + number


def cell_bar(share: float, colour: str = "knn") -> str:
    """A thin bar for a table's cell, from 0 to 1."""
    return element(
        "svg",
        element("rect", class_=f"bar {colour}", width=100 * min(max(share, 0), 1), height=3),
        class_="cellbar",
        viewBox="0 0 100 3",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def strip(own: float, others: Sequence[tuple[str, float]], colour: str) -> str:
    """Draw a figure between its bounds and baselines, on a scale from 0 to 1.

    Args:
        own: The figure.
        others: What it is compared with, by name.
        colour: A class of page.css.
    """
    parts = [
        element("rect", class_="track", x=0, y=9, width=300, height=6, rx=3),
        element("rect", class_=f"bar {colour}", x=0, y=9, width=300 * own, height=6, rx=3),
    ]
    parts += [
        element(
            "rect",
            class_="tickmark",
            x=300 * min(max(value, 0), 1) - 1.25,
            y=4,
            width=2.5,
            height=16,
            rx=1.25,
            data_tip=f"{name} {100 * value:.1f}",
        )
        for name, value in others
    ]
    said = ", ".join(f"{name} {100 * value:.1f}" for name, value in others)
    return drawing(f"{100 * own:.1f} percent; {said}", "".join(parts), 300, 24)
