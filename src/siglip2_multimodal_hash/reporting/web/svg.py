"""Elements of SVG and HTML as text, scales, and the frame that every chart stands in."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 40

Kind = Literal["linear", "log", "root"]


def element(name: str, content: str = "", /, **attributes: str | float | None) -> str:
    """One element; ``content`` is markup, attributes are text and escaped.

    ``class_`` and ``for_`` lose their underscore, other underscores become hyphens; None leaves an
    attribute out. Numbers keep two decimals: a hundredth of a pixel is invisible.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>"


def text(value: str, /, **attributes: str | float | None) -> str:
    """A ``<text>`` with escaped content."""
    return element("text", html.escape(value), **attributes)


@dataclass(frozen=True)
class Scale:
    """Map values to pixels.

    Attributes:
        low: The value at ``start``.
        high: The value at ``end``.
        start: Pixel.
        end: Pixel.
        kind: ``root``, the third, spreads small shares out and still shows 0, unlike a logarithm.
    """

    low: float
    high: float
    start: float
    end: float
    kind: Kind = "linear"

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, at = (self._bent(one) for one in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def _bent(self, value: float) -> float:
        if self.kind == "log":
            return math.log10(value)
        return math.cbrt(value) if self.kind == "root" else value


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values between two, at most about ``most``: multiples of 1, 2 or 5 times a power of 10.

    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(s * power for s in (1, 2, 5, 10) if (high - low) / (s * power) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


@dataclass(frozen=True)
class Axis:
    """One side of the frame: its title, its scale, and where ticks stand with what label."""

    title: str
    scale: Scale
    marks: Sequence[tuple[float, str]]


def horizontal(
    title: str,
    low: float,
    high: float,
    marks: Sequence[tuple[float, str]] | None = None,
    kind: Kind = "linear",
) -> Axis:
    """The axis below the plot; without ``marks`` its ticks are round numbers."""
    shown = _labelled(low, high) if marks is None else marks
    return Axis(title, Scale(low, high, LEFT, WIDTH - RIGHT, kind), shown)


def vertical(
    title: str,
    low: float,
    high: float,
    marks: Sequence[tuple[float, str]] | None = None,
    kind: Kind = "linear",
) -> Axis:
    """The axis left of the plot, low values at its foot."""
    shown = _labelled(low, high) if marks is None else marks
    return Axis(title, Scale(low, high, HEIGHT - BOTTOM, TOP, kind), shown)


def frame(x: Axis, y: Axis) -> str:
    """Grid lines, tick labels and the titles of both axes."""
    parts = []
    for value, label in y.marks:
        at = y.scale(value)
        parts.append(element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at))
        parts.append(text(label, class_="tick", x=LEFT - 7, y=at + 4, text_anchor="end"))
    foot = HEIGHT - BOTTOM
    for value, label in x.marks:
        at = x.scale(value)
        parts.append(element("line", class_="grid", x1=at, x2=at, y1=TOP, y2=foot))
        parts.append(text(label, class_="tick", x=at, y=foot + 16, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(text(x.title, class_="axis", x=middle, y=HEIGHT - 6, text_anchor="middle"))
    across = (TOP + foot) / 2
    parts.append(
        text(
            y.title,
            class_="axis",
            x=11,
            y=across,
            text_anchor="middle",
            transform=f"rotate(-90 11 {across:g})",
        )
    )
    return "".join(parts)


def drawing(
    label: str, content: str, width: float = WIDTH, height: float = HEIGHT, hover: str | None = None
) -> str:
    """The ``<svg>`` around a chart; ``label`` says to a screen reader what it shows."""
    return element(
        "svg",
        content,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        data_hover=hover,
    )


def _labelled(low: float, high: float) -> list[tuple[float, str]]:
    return [(value, f"{value:g}") for value in ticks(low, high)]


def _written(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.2f}".rstrip("0").rstrip(".")
