"""Drawings of kitchen appliances and sinks, which OpenMoji lacks."""

from __future__ import annotations

from functools import partial
from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.pen import (
    AMBER,
    BLUE,
    BROWN,
    DARK,
    DEEP_BLUE,
    DEEP_RED,
    GREEN,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    RED,
    TAN,
    WHITE,
    Drawing,
    Pen,
    arc_points,
)


def _refrigerator(body: str, handle: str, *, wide: bool, pen: Pen) -> None:
    left, right = (14, 58) if wide else (20, 52)
    pen.box((left, 4, right, 66), body, 4)
    for foot in (left + 5, right - 9):
        pen.box((foot, 64, foot + 4, 69), DARK, 1)
    if wide:
        pen.line([(36, 4), (36, 66)])
        pen.line([(32, 24), (32, 44)], 2.5, handle)
        pen.line([(40, 24), (40, 44)], 2.5, handle)
        pen.box((19, 18, 28, 32), DEEP_BLUE, 1)
    else:
        pen.line([(left, 26), (right, 26)])
        pen.line([(left + 6, 13), (left + 6, 21)], 3, handle)
        pen.line([(left + 6, 32), (left + 6, 46)], 3, handle)


def _oven(body: str, top: str, *, hood: bool, pen: Pen) -> None:
    head = 24 if hood else 12
    if hood:
        pen.polygon([(30, 2), (42, 2), (42, 8), (56, 18), (16, 18), (30, 8)], LIGHT)
    pen.box((10, head, 62, 68), body, 3)
    pen.box((10, head, 62, head + 12), top, 3)
    for x in (18, 27, 45, 54):
        pen.dot(x, head + 6, 2.4, WHITE, INK)
    pen.line([(18, head + 18), (54, head + 18)], 3, DARK)
    pen.box((17, head + 23, 55, 62), DARK, 3)
    pen.box((22, head + 27, 50, 58), ORANGE if not hood else AMBER, 2, None)
    pen.line([(22, 52), (50, 52)], 1.5, DARK)


def _microwave(body: str, window: str, *, dial: bool, pen: Pen) -> None:
    pen.box((4, 18, 68, 56), body, 4)
    pen.box((9, 23, 48, 51), window, 3)
    pen.line([(15, 43), (25, 30)], 2, WHITE)
    pen.line([(22, 45), (32, 32)], 2, WHITE)
    pen.box((53, 23, 64, 29), GREEN, 1)
    if dial:
        pen.dot(58.5, 36, 4, WHITE, INK)
        pen.dot(58.5, 47, 4, WHITE, INK)
    else:
        for y in (34, 40, 46):
            for x in (54.5, 58.5, 62.5):
                pen.dot(x, y, 1.3, INK)
    for x in (12, 56):
        pen.box((x, 55, x + 5, 59), DARK, 1)


def _toaster(body: str, stripe: str, *, toast: bool, pen: Pen) -> None:
    if toast:
        for x in (18, 38):
            pen.box((x, 10, x + 16, 40), TAN, 5)
            pen.box((x + 4, 15, x + 12, 38), AMBER, 3, None)
    pen.box((8, 27, 62, 60), body, 11)
    pen.line([(16, 31), (54, 31)], 3, DARK)
    pen.box((9, 46, 61, 51), stripe, 0, None)
    pen.line([(66, 35), (66, 44)], 5, DARK)
    pen.line([(62, 40), (66, 40)], 2)
    pen.dot(18, 40, 3, WHITE, INK)
    for x in (14, 50):
        pen.box((x, 59, x + 7, 64), DARK, 1)


def _sink(basin: str, cabinet: str, *, pedestal: bool, pen: Pen) -> None:
    pen.line([(36, 34), (36, 12)], 6)
    pen.line(arc_points((36, 5, 52, 21), 180, 350), 6)
    pen.line([(36, 34), (36, 12)], 3, LIGHT)
    pen.line(arc_points((36, 5, 52, 21), 180, 350), 3, LIGHT)
    pen.polygon([(52, 20), (55, 27), (49, 27)], DEEP_BLUE, None)
    pen.line([(24, 27), (29, 27)], 4)
    if pedestal:
        pen.polygon([(29, 48), (43, 48), (46, 69), (26, 69)], basin)
    else:
        pen.box((8, 38, 64, 68), cabinet, 2)
        pen.line([(36, 40), (36, 68)])
        for x in (31, 41):
            pen.dot(x, 58, 1.6, INK)
    bowl = [(5.0, 32.0), (67.0, 32.0), *arc_points((7, 16, 65, 52), 10, 170)]
    pen.polygon(bowl, basin)
    pen.line([(13, 38), (50, 38)], 1.5, GREY)


APPLIANCES: Final[dict[str, Drawing]] = {
    "refrigerator.white": partial(_refrigerator, WHITE, GREY, wide=False),
    "refrigerator.blue": partial(_refrigerator, BLUE, DARK, wide=False),
    "refrigerator.double": partial(_refrigerator, LIGHT, DARK, wide=True),
    "oven.white": partial(_oven, WHITE, LIGHT, hood=False),
    "oven.grey": partial(_oven, GREY, DARK, hood=False),
    "oven.hood": partial(_oven, LIGHT, RED, hood=True),
    "microwave.grey": partial(_microwave, LIGHT, DARK, dial=False),
    "microwave.red": partial(_microwave, RED, DARK, dial=True),
    "microwave.white": partial(_microwave, WHITE, DEEP_BLUE, dial=True),
    "toaster.red": partial(_toaster, RED, DEEP_RED, toast=True),
    "toaster.grey": partial(_toaster, LIGHT, GREY, toast=True),
    "toaster.blue": partial(_toaster, BLUE, DEEP_BLUE, toast=False),
    "sink.white": partial(_sink, WHITE, BROWN, pedestal=False),
    "sink.grey": partial(_sink, LIGHT, BLUE, pedestal=False),
    "sink.pedestal": partial(_sink, WHITE, WHITE, pedestal=True),
}
"""Drawings by key; the part before the dot names the thing."""
