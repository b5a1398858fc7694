"""Drawings of tableware and food that OpenMoji lacks or has only once."""

from __future__ import annotations

from functools import partial
from math import cos, pi, sin
from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.pen import (
    AMBER,
    BROWN,
    DARK,
    DARK_BROWN,
    DEEP_BLUE,
    DEEP_GREEN,
    DEEP_RED,
    GREEN,
    INK,
    LIGHT,
    ORANGE,
    PINK,
    RED,
    TAN,
    WHITE,
    YELLOW,
    Drawing,
    Pen,
    arc_points,
)


def _bottle(glass: str, label: str, pen: Pen) -> None:
    pen.polygon(
        [(31, 8), (41, 8), (41, 24), (50, 36), (50, 69), (22, 69), (22, 36), (31, 24)], glass
    )
    pen.box((29, 2, 43, 10), DARK, 1)
    pen.box((22, 42, 50, 60), label)


def _wine_glass(drink: str, pen: Pen) -> None:
    pen.polygon([(18, 4), (54, 4), *arc_points((16, -4, 56, 44), 10, 170)], WHITE)
    pen.polygon([(17, 20), (55, 20), *arc_points((16, -4, 56, 44), 15, 165)], drink)
    pen.line([(36, 44), (36, 66)], 3)
    pen.line([(22, 67), (50, 67)], 4)


def _mug(body: str, mark: str, pen: Pen) -> None:
    pen.oval((42, 22, 68, 54), None, INK, 8)
    pen.oval((44, 24, 66, 52), None, body, 4)
    pen.box((10, 12, 54, 64), body, 6)
    pen.oval((10, 7, 54, 19), DARK_BROWN)
    pen.dot(32, 42, 9, mark)


def _fork(metal: str, *, tines: int, pen: Pen) -> None:
    gap = 20 / (tines - 1)
    for i in range(tines):
        pen.line([(26 + i * gap, 4), (26 + i * gap, 24)], 5)
    pen.polygon([(25, 22), (47, 22), (44, 34), (28, 34)], metal)
    pen.line([(36, 32), (36, 66)], 8)
    for i in range(tines):
        pen.line([(26 + i * gap, 4), (26 + i * gap, 24)], 2.4, metal)
    pen.line([(36, 32), (36, 66)], 4.5, metal)


def _knife(handle: str, pen: Pen) -> None:
    pen.polygon([(32, 40), (32, 3), (42, 10), (45, 24), (43, 40)], LIGHT)
    pen.box((30, 39, 43, 69), handle, 3)
    for y in (47, 60):
        pen.dot(36.5, y, 1.6, INK)


def _spoon(metal: str, pen: Pen) -> None:
    pen.line([(36, 30), (36, 66)], 8)
    pen.oval((24, 2, 48, 36), metal)
    pen.line([(36, 34), (36, 66)], 4.5, metal)
    pen.line(arc_points((28, 7, 44, 31), 180, 260), 1.5)


def _bowl(body: str, content: str, pen: Pen) -> None:
    pen.oval((4, 18, 68, 40), content)
    pen.polygon([(4, 29), *arc_points((4, -2, 68, 62), 175, 5), (68, 29)], body)
    pen.box((24, 59, 48, 66), body, 1)


def _bananas(pen: Pen) -> None:
    for shift in (16, 8, 0):
        outer = arc_points((-20 + shift, -30, 52 + shift, 66 - shift), 10, 100)
        inner = arc_points((-18 + shift, -34, 44 + shift, 52 - shift), 100, 10)
        pen.polygon([*outer, *inner], YELLOW)
    pen.box((42, 6, 60, 14), DARK_BROWN, 2)


def _submarine(pen: Pen) -> None:
    pen.box((4, 38, 68, 58), TAN, 9)
    pen.line([(6, 38), (14, 42), (22, 37), (30, 42), (38, 37), (46, 42), (54, 37), (66, 40)], 6)
    pen.line(
        [(6, 38), (14, 42), (22, 37), (30, 42), (38, 37), (46, 42), (54, 37), (66, 40)], 3.5, GREEN
    )
    pen.line([(8, 34), (64, 34)], 5, RED)
    pen.polygon([(4, 32), *arc_points((4, 12, 68, 50), 180, 360), (68, 32)], AMBER)
    for x in (20, 32, 44, 54):
        pen.dot(x, 22 + abs(x - 36) / 6, 1.3, WHITE)


def _florets(pen: Pen) -> None:
    pen.polygon([(26, 40), (46, 40), (44, 69), (28, 69)], GREEN)
    for x, y, r in ((16, 34, 12), (56, 34, 12), (26, 18, 13), (46, 18, 13), (36, 34, 13)):
        pen.dot(x, y, r, DEEP_GREEN, INK)


def _carrot(pen: Pen) -> None:
    for x in (26, 36, 46):
        pen.line([(36, 24), (x, 4)], 7)
        pen.line([(36, 24), (x, 4)], 4, DEEP_GREEN)
    pen.polygon([(24, 24), (48, 24), (38, 69), (34, 69)], ORANGE)
    for x, y in ((26, 34), (36, 44), (31, 54)):
        pen.line([(x, y), (x + 8, y)], 1.5)


def _whole_pizza(sauce: str, topping: str, pen: Pen) -> None:
    pen.oval((3, 3, 69, 69), AMBER)
    pen.oval((9, 9, 63, 63), sauce, None)
    for turn in range(6):
        a = turn * pi / 3 + 0.5
        pen.dot(36 + 18 * cos(a), 36 + 18 * sin(a), 5, topping, INK)
    pen.dot(36, 36, 5, topping, INK)
    for turn in range(4):
        a = turn * pi / 4
        dx, dy = 32 * cos(a), 32 * sin(a)
        pen.line([(36 - dx, 36 - dy), (36 + dx, 36 + dy)], 1.2, BROWN)


def _donut(icing: str, sprinkle: str, pen: Pen) -> None:
    pen.oval((4, 4, 68, 68), TAN)
    pen.oval((8, 8, 64, 64), icing)
    for turn in range(11):
        a = turn * 2 * pi / 11
        x, y = 36 + (19 + 4 * (turn % 2)) * cos(a), 36 + (19 + 4 * (turn % 2)) * sin(a)
        pen.line([(x - 1.5, y - 1), (x + 1.5, y + 1)], 2, sprinkle)
    pen.oval((25, 25, 47, 47), TAN)
    pen.erase((28, 28, 44, 44))


def _round_cake(icing: str, body: str, pen: Pen) -> None:
    pen.oval((3, 52, 69, 68), LIGHT)
    pen.polygon([(10, 30), (62, 30), (62, 56), *arc_points((10, 48, 62, 64), 0, 180)], body)
    drip = [(10, 30), (10, 40), (17, 44), (24, 39), (32, 46), (40, 39), (48, 45), (55, 39)]
    pen.polygon([*[(float(x), float(y)) for x, y in drip], (62, 42), (62, 30)], icing)
    pen.oval((10, 22, 62, 38), icing)
    for x in (24, 36, 48):
        pen.line([(x, 28), (x, 13)], 3.5, DEEP_BLUE)
        pen.dot(x, 9, 3, AMBER, INK)


FOOD: Final[dict[str, Drawing]] = {
    "bottle.green": partial(_bottle, DEEP_GREEN, TAN),
    "bottle.brown": partial(_bottle, BROWN, RED),
    "wine_glass.white": partial(_wine_glass, YELLOW),
    "wine_glass.red": partial(_wine_glass, DEEP_RED),
    "mug.blue": partial(_mug, DEEP_BLUE, WHITE),
    "mug.red": partial(_mug, RED, YELLOW),
    "fork.steel": partial(_fork, LIGHT, tines=4),
    "fork.gold": partial(_fork, AMBER, tines=3),
    "knife.wood": partial(_knife, BROWN),
    "knife.red": partial(_knife, DEEP_RED),
    "spoon.wood": partial(_spoon, TAN),
    "spoon.steel": partial(_spoon, LIGHT),
    "bowl.blue": partial(_bowl, DEEP_BLUE, ORANGE),
    "bowl.green": partial(_bowl, GREEN, WHITE),
    "bananas": partial(_bananas),
    "submarine": partial(_submarine),
    "florets": partial(_florets),
    "carrot.bunch": partial(_carrot),
    "pizza.pepperoni": partial(_whole_pizza, YELLOW, DEEP_RED),
    "pizza.veggie": partial(_whole_pizza, RED, GREEN),
    "donut.pink": partial(_donut, PINK, DEEP_BLUE),
    "donut.chocolate": partial(_donut, DARK_BROWN, YELLOW),
    "cake.chocolate": partial(_round_cake, DARK_BROWN, BROWN),
    "cake.pink": partial(_round_cake, PINK, TAN),
}
"""Drawings by key; the part before the dot names the thing."""
