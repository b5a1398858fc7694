"""Drawings of furniture and ornaments that OpenMoji lacks or has only once."""

from __future__ import annotations

from functools import partial
from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.pen import (
    BROWN,
    DARK,
    DARK_BROWN,
    DEEP_BLUE,
    DEEP_GREEN,
    DEEP_PURPLE,
    DEEP_RED,
    GREEN,
    GREY,
    INK,
    LIGHT,
    NAVY,
    ORANGE,
    PINK,
    PURPLE,
    RED,
    TAN,
    WHITE,
    YELLOW,
    Drawing,
    Pen,
)


def _table(top: str, legs: str, *, pedestal: bool, cloth: str | None, pen: Pen) -> None:
    if pedestal:
        pen.box((33, 30, 39, 62), legs)
        pen.polygon([(20, 66), (36, 56), (52, 66)], legs)
        pen.oval((3, 20, 69, 38), top)
        return
    for x in (9.0, 57.0):
        pen.box((x, 32, x + 6, 66), legs, 1)
    for x in (20, 47):
        pen.box((x, 30, x + 5, 56), legs, 1)
    pen.polygon([(14, 20), (58, 20), (69, 32), (3, 32)], top)
    pen.box((3, 31, 69, 37), top, 1)
    if cloth is not None:
        pen.polygon([(26, 20), (46, 20), (50, 32), (50, 44), (22, 44), (22, 32)], cloth)


def _couch(body: str, seat: str, *, seats: int, pen: Pen) -> None:
    for x in (12.0, 55.0):
        pen.box((x, 54, x + 5, 63), DARK_BROWN, 1)
    pen.box((10, 16, 62, 50), body, 7)
    for i in range(1, seats):
        x = 10 + 52 * i / seats
        pen.line([(x, 17), (x, 40)])
    pen.box((10, 37, 62, 57), seat, 3)
    for i in range(1, seats):
        x = 10 + 52 * i / seats
        pen.line([(x, 38), (x, 48)])
    pen.line([(16, 49), (56, 49)])
    pen.box((3, 29, 16, 57), body, 6)
    pen.box((56, 29, 69, 57), body, 6)


def _bed(blanket: str, frame: str, pen: Pen) -> None:
    pen.box((8, 6, 64, 44), frame, 5)
    pen.box((12, 24, 60, 60), WHITE, 3)
    pen.box((16, 20, 34, 33), WHITE, 4)
    pen.box((38, 20, 56, 33), WHITE, 4)
    pen.box((10, 34, 62, 62), blanket, 3)
    pen.line([(10, 41), (62, 41)])
    for x in (10, 56):
        pen.box((x, 61, x + 6, 68), frame, 1)


def _chair(seat: str, frame: str, pen: Pen) -> None:
    for x in (19, 48):
        pen.box((x, 42, x + 5, 69), frame, 1)
    pen.box((17, 4, 55, 36), frame, 4)
    for x in (24, 33, 42):
        pen.box((x, 10, x + 6, 32), seat, 1)
    pen.polygon([(19, 36), (53, 36), (60, 47), (12, 47)], seat)


def _office_chair(seat: str, pen: Pen) -> None:
    pen.box((20, 3, 52, 34), seat, 8)
    pen.line([(36, 34), (36, 60)], 5)
    pen.box((14, 38, 58, 48), seat, 5)
    for x in (11, 58):
        pen.line([(x, 28), (x, 40)], 4, DARK)
    pen.line([(16, 66), (36, 58), (56, 66)], 4)
    for x in (16, 36, 56):
        pen.dot(x, 67, 3, DARK, INK)


def _toilet(body: str, pen: Pen) -> None:
    pen.box((18, 4, 54, 30), body, 3)
    pen.box((32, 8, 40, 12), GREY, 1)
    pen.polygon([(26, 50), (46, 50), (49, 69), (23, 69)], body)
    pen.oval((14, 24, 58, 58), body)
    pen.oval((21, 30, 51, 51), DEEP_BLUE)


def _plant(pot: str, leaf: str, *, tall: bool, pen: Pen) -> None:
    tips = [(12, 26), (22, 10), (36, 4), (50, 10), (60, 26)]
    if tall:
        tips = [(20, 18), (29, 4), (40, 2), (53, 14), (26, 30), (50, 32)]
    for x, y in tips:
        pen.line([(36, 48), (x, y)])
        wide = 6 if not tall else 5
        middle = ((36 + 2 * x) / 3, (48 + 2 * y) / 3)
        pen.polygon(
            [(36, 46), (middle[0] - wide, middle[1]), (x, y), (middle[0] + wide, middle[1])], leaf
        )
    pen.polygon([(22, 48), (50, 48), (46, 69), (26, 69)], pot)
    pen.box((19, 43, 53, 51), pot, 1)


def _clock(face: str, rim: str, *, square: bool, pen: Pen) -> None:
    if square:
        pen.box((6, 6, 66, 66), rim, 8)
    else:
        pen.oval((5, 5, 67, 67), rim)
    pen.oval((12, 12, 60, 60), face)
    for x, y in ((36, 17), (36, 55), (17, 36), (55, 36)):
        pen.dot(x, y, 2, INK)
    pen.line([(36, 22), (36, 36), (47, 42)], 3)


def _vase(body: str, band: str, blossom: str, pen: Pen) -> None:
    for x, y in ((22, 13), (36, 8), (50, 13)):
        pen.line([(36, 40), (x, y)], 2, DEEP_GREEN)
        for dx, dy in ((-4, 0), (4, 0), (0, -4), (0, 4)):
            pen.dot(x + dx, y + dy, 3.6, blossom, INK)
        pen.dot(x, y, 3, YELLOW)
    pen.polygon(
        [(29, 32), (43, 32), (42, 39), (52, 50), (48, 69), (24, 69), (20, 50), (30, 39)], body
    )
    pen.polygon([(20, 49), (52, 49), (51, 55), (21, 55)], band)


FURNITURE: Final[dict[str, Drawing]] = {
    "table.wood": partial(_table, BROWN, DARK_BROWN, pedestal=False, cloth=None),
    "table.cloth": partial(_table, TAN, BROWN, pedestal=False, cloth=RED),
    "table.round": partial(_table, BROWN, DARK_BROWN, pedestal=True, cloth=None),
    "couch.red": partial(_couch, RED, DEEP_RED, seats=2),
    "couch.green": partial(_couch, GREEN, DEEP_GREEN, seats=3),
    "couch.purple": partial(_couch, PURPLE, DEEP_PURPLE, seats=2),
    "bed.red": partial(_bed, RED, BROWN),
    "bed.green": partial(_bed, GREEN, DARK_BROWN),
    "chair.wood": partial(_chair, TAN, BROWN),
    "chair.red": partial(_chair, RED, DARK_BROWN),
    "chair.office": partial(_office_chair, DARK),
    "chair.office_blue": partial(_office_chair, DEEP_BLUE),
    "toilet.front": partial(_toilet, WHITE),
    "toilet.pink": partial(_toilet, PINK),
    "plant.fern": partial(_plant, ORANGE, DEEP_GREEN, tall=False),
    "plant.tall": partial(_plant, LIGHT, GREEN, tall=True),
    "clock.red": partial(_clock, WHITE, RED, square=False),
    "clock.wood": partial(_clock, YELLOW, BROWN, square=True),
    "vase.blue": partial(_vase, NAVY, WHITE, PINK),
    "vase.red": partial(_vase, RED, YELLOW, WHITE),
    "vase.green": partial(_vase, GREEN, DEEP_GREEN, PURPLE),
}
"""Drawings by key; the part before the dot names the thing."""
