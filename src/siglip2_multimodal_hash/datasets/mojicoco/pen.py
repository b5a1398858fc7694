"""A small drawing kit in OpenMoji's manner: flat fills, dark outlines, a grid of 72 x 72 units."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import cos, pi, sin
from typing import Final, Protocol

from PIL import Image, ImageDraw

GRID: Final = 72
"""Side of the drawing grid in units, as in OpenMoji's SVG files."""

SUPERSAMPLING: Final = 6
"""Pixels a unit; the caller scales the drawing down, which smooths the edges."""

INK: Final = "#000000"
BLUE: Final = "#92D3F5"
DEEP_BLUE: Final = "#61B2E4"
NAVY: Final = "#1E50A0"
RED: Final = "#EA5A47"
DEEP_RED: Final = "#D22F27"
GREEN: Final = "#B1CC33"
DEEP_GREEN: Final = "#5C9E31"
YELLOW: Final = "#FCEA2B"
AMBER: Final = "#F1B31C"
ORANGE: Final = "#E27022"
PINK: Final = "#FFA7C0"
DEEP_PINK: Final = "#E67A94"
PURPLE: Final = "#B399C8"
DEEP_PURPLE: Final = "#8967AA"
BROWN: Final = "#A57939"
DARK_BROWN: Final = "#6A462F"
TAN: Final = "#E8C38A"
WHITE: Final = "#FFFFFF"
LIGHT: Final = "#D0CFCE"
GREY: Final = "#9B9B9A"
DARK: Final = "#3F3F3F"

Point = tuple[float, float]


class Pen:
    """Draws on a transparent image; every coordinate and width is in grid units."""

    def __init__(self) -> None:
        """A pen over an empty image."""
        side = GRID * SUPERSAMPLING
        self.image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)

    def polygon(
        self, points: Sequence[Point], fill: str | None, ink: str | None = INK, width: float = 2
    ) -> None:
        """Fill a closed polygon and trace its edge with round corners."""
        scaled = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points]
        if fill is not None:
            self._draw.polygon(list(chain.from_iterable(scaled)), fill=fill)
        if ink is not None:
            self.line([*points, points[0]], width, ink)

    def line(self, points: Sequence[Point], width: float = 2, ink: str = INK) -> None:
        """A polyline with round ends and joints."""
        scaled = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points]
        stroke = max(1, round(width * SUPERSAMPLING))
        self._draw.line(list(chain.from_iterable(scaled)), fill=ink, width=stroke)
        radius = stroke / 2
        for x, y in scaled:
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)

    def box(
        self,
        corners: tuple[float, float, float, float],
        fill: str | None,
        radius: float = 0,
        ink: str | None = INK,
        width: float = 2,
    ) -> None:
        """A rectangle (left, top, right, bottom) with round corners of `radius` units."""
        self._draw.rounded_rectangle(
            [c * SUPERSAMPLING for c in corners],
            radius=radius * SUPERSAMPLING,
            fill=fill,
            outline=ink,
            width=round(width * SUPERSAMPLING) if ink is not None else 0,
        )

    def oval(
        self,
        corners: tuple[float, float, float, float],
        fill: str | tuple[int, int, int, int] | None,
        ink: str | None = INK,
        width: float = 2,
    ) -> None:
        """An ellipse inside (left, top, right, bottom)."""
        self._draw.ellipse(
            [c * SUPERSAMPLING for c in corners],
            fill=fill,
            outline=ink,
            width=round(width * SUPERSAMPLING) if ink is not None else 0,
        )

    def erase(self, corners: tuple[float, float, float, float]) -> None:
        """Make an elliptical hole, with an inked edge, inside (left, top, right, bottom)."""
        self.oval(corners, (0, 0, 0, 0))

    def dot(self, x: float, y: float, radius: float, fill: str, ink: str | None = None) -> None:
        """A disc around (x, y)."""
        self.oval((x - radius, y - radius, x + radius, y + radius), fill, ink)

    def arc(
        self,
        corners: tuple[float, float, float, float],
        start: float,
        end: float,
        width: float = 2,
        ink: str = INK,
    ) -> None:
        """Part of an ellipse's edge, from `start` to `end` degrees clockwise from the right."""
        self.line(arc_points(corners, start, end), width, ink)


class Drawing(Protocol):
    """Draws one thing on a pen's grid."""

    def __call__(self, *, pen: Pen) -> None:
        """Draw with the pen."""


def arc_points(
    corners: tuple[float, float, float, float], start: float, end: float, steps: int = 24
) -> list[Point]:
    """Points along an ellipse's edge, from `start` to `end` degrees clockwise from the right."""
    left, top, right, bottom = corners
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    angles = [(start + (end - start) * i / steps) * pi / 180 for i in range(steps + 1)]
    return [
        (middle_x + (right - left) / 2 * cos(a), middle_y + (bottom - top) / 2 * sin(a))
        for a in angles
    ]
