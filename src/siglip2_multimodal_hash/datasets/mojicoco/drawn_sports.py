"""Drawings of sports gear that OpenMoji lacks or has only once."""

from __future__ import annotations

from functools import partial
from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.pen import (
    AMBER,
    BLUE,
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
    arc_points,
)


def _frisbee(disc: str, ring: str, *, tilted: bool, pen: Pen) -> None:
    if tilted:
        pen.oval((4, 26, 68, 52), disc)
        pen.oval((4, 22, 68, 46), disc)
        pen.oval((18, 26, 54, 40), ring)
        return
    pen.oval((5, 5, 67, 67), disc)
    pen.oval((14, 14, 58, 58), None, INK, 1.5)
    pen.oval((24, 24, 48, 48), ring)


def _kite(left: str, right: str, *, delta: bool, pen: Pen) -> None:
    if delta:
        pen.polygon([(36, 8), (36, 40), (4, 46)], left)
        pen.polygon([(36, 8), (36, 40), (68, 46)], right)
        pen.line([(36, 40), (30, 54), (40, 60), (34, 70)], 2, left)
        return
    pen.polygon([(34, 3), (34, 46), (14, 20)], left)
    pen.polygon([(34, 3), (34, 46), (54, 20)], right)
    pen.line([(14, 20), (54, 20)], 1.5)
    pen.line([(34, 46), (40, 54), (34, 60), (44, 69)])
    for x, y in ((38, 52), (37, 61)):
        pen.polygon([(x - 5, y - 3), (x + 5, y + 3), (x + 5, y - 3), (x - 5, y + 3)], right)


def _baseball_bat(wood: str, grip: str, pen: Pen) -> None:
    pen.polygon(
        [(8, 60), (12, 64), (40, 42), (64, 18), *arc_points((52, 4, 68, 20), 45, -135), (30, 32)],
        wood,
    )
    pen.line([(10, 62), (22, 51)], 6.5)
    pen.line([(10, 62), (22, 51)], 4, grip)
    pen.dot(8, 64, 4.5, grip, INK)


def _baseball_glove(leather: str, web: str, pen: Pen) -> None:
    for box in ((10, 14, 23, 48), (22, 5, 35, 44), (34, 4, 47, 44), (46, 9, 58, 48)):
        pen.box(box, leather, 6)
    pen.polygon([(55, 38), (66, 26), (70, 32), (62, 54), (52, 56)], leather)
    pen.polygon([(10, 36), (58, 36), (60, 52), (52, 66), (22, 66), (12, 54)], leather)
    pen.box((11, 30, 57, 40), leather, 0, None)
    pen.polygon([(46, 24), (58, 26), (65, 29), (56, 46)], web)
    pen.oval((22, 38, 46, 58), web)
    for x in (23, 35, 46):
        pen.line([(x, 28), (x, 37)], 1.5)


def _tennis_racket(frame: str, grip: str, pen: Pen) -> None:
    pen.line([(30, 42), (12, 60)], 7)
    pen.line([(30, 42), (12, 60)], 4, frame)
    pen.line([(20, 52), (7, 65)], 8)
    pen.line([(20, 52), (7, 65)], 5, grip)
    pen.oval((24, 4, 68, 48), WHITE, INK, 6.5)
    pen.oval((26, 6, 66, 46), None, frame, 3)
    for i in range(-2, 3):
        reach = (14.5, 13, 9.5)[abs(i)]
        pen.line([(46 + 6 * i, 26 - reach), (46 + 6 * i, 26 + reach)], 1, GREY)
        pen.line([(46 - reach, 26 + 6 * i), (46 + reach, 26 + 6 * i)], 1, GREY)


def _skis(board: str, pole: str, pen: Pen) -> None:
    for x in (18, 40):
        tip = arc_points((x, 2, x + 12, 20), 180, 360)
        pen.polygon([*tip, (x + 12, 69), (x, 69)], board)
        pen.box((x + 2, 34, x + 10, 46), DARK, 2)
    for x in (9, 61):
        pen.line([(x, 12), (x, 68)], 2, pole)
        pen.line([(x, 8), (x, 18)], 4)
        pen.oval((x - 4, 60, x + 4, 65), None)


def _board(deck: str, stripe: str, *, snow: bool, pen: Pen) -> None:
    if snow:
        pen.box((22, 2, 50, 70), deck, 14)
        for y in (23, 43):
            pen.box((26, y, 46, y + 7), DARK, 2)
            pen.line([(30, y - 3), (42, y + 10)], 2, GREY)
        pen.polygon([(27, 33), (36, 29), (45, 33), (36, 40)], stripe)
        return
    half = [(36.0, 2.0), (45.0, 12.0), (50.0, 28.0), (51.0, 42.0), (47.0, 58.0), (42.0, 68.0)]
    pen.polygon([*half, *[(72 - x, y) for x, y in reversed(half[1:])]], deck)
    pen.line([(36, 5), (36, 65)], 5, stripe)
    pen.line([(23, 46), (49, 46)], 3, stripe)
    pen.polygon([(36, 56), (39, 66), (33, 66)], DARK)


def _skateboard(deck: str, wheel: str, pen: Pen) -> None:
    for x in (20, 52):
        pen.dot(x, 48, 6.5, wheel, INK)
        pen.dot(x, 48, 2, INK)
        pen.line([(x, 36), (x, 44)], 3)
    pen.line([(6, 28), (14, 36), (58, 36), (66, 28)], 8)
    pen.line([(6, 28), (14, 36), (58, 36), (66, 28)], 4.5, deck)


SPORTS: Final[dict[str, Drawing]] = {
    "frisbee.red": partial(_frisbee, RED, WHITE, tilted=True),
    "frisbee.yellow": partial(_frisbee, YELLOW, DEEP_BLUE, tilted=True),
    "frisbee.top": partial(_frisbee, ORANGE, AMBER, tilted=False),
    "kite.rainbow": partial(_kite, RED, YELLOW, delta=False),
    "kite.blue": partial(_kite, DEEP_BLUE, GREEN, delta=False),
    "kite.delta": partial(_kite, PURPLE, ORANGE, delta=True),
    "bat.wood": partial(_baseball_bat, TAN, DARK),
    "bat.brown": partial(_baseball_bat, BROWN, DEEP_RED),
    "bat.metal": partial(_baseball_bat, LIGHT, NAVY),
    "glove.brown": partial(_baseball_glove, BROWN, DARK_BROWN),
    "glove.tan": partial(_baseball_glove, TAN, BROWN),
    "racket.red": partial(_tennis_racket, RED, DARK),
    "racket.blue": partial(_tennis_racket, DEEP_BLUE, WHITE),
    "racket.green": partial(_tennis_racket, GREEN, DARK_BROWN),
    "skis.red": partial(_skis, RED, GREY),
    "skis.blue": partial(_skis, DEEP_BLUE, DARK),
    "snowboard.purple": partial(_board, PURPLE, YELLOW, snow=True),
    "snowboard.green": partial(_board, GREEN, WHITE, snow=True),
    "snowboard.red": partial(_board, RED, BLUE, snow=True),
    "surfboard.white": partial(_board, WHITE, DEEP_BLUE, snow=False),
    "surfboard.yellow": partial(_board, YELLOW, RED, snow=False),
    "surfboard.pink": partial(_board, PINK, DEEP_PURPLE, snow=False),
    "skateboard.red": partial(_skateboard, RED, WHITE),
    "skateboard.wood": partial(_skateboard, TAN, DEEP_GREEN),
}
"""Drawings by key; the part before the dot names the thing."""
