"""Drawings of street furniture and bags that OpenMoji lacks or has only once."""

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
    DEEP_PINK,
    DEEP_RED,
    GREEN,
    GREY,
    INK,
    LIGHT,
    NAVY,
    PINK,
    RED,
    TAN,
    WHITE,
    YELLOW,
    Drawing,
    Pen,
    arc_points,
)


def _fire_hydrant(body: str, cap: str, pen: Pen) -> None:
    pen.box((30, 3, 42, 12), cap, 3)
    pen.polygon([*arc_points((19, 8, 53, 40), 180, 360), (53, 26), (19, 26)], body)
    pen.box((21, 26, 51, 62), body)
    for left, right in ((9, 21), (51, 63)):
        pen.box((left, 33, right, 47), cap, 2)
    pen.dot(36, 41, 7.5, cap, INK)
    pen.dot(36, 41, 2.5, INK)
    pen.box((16, 23, 56, 29), cap, 2)
    pen.box((14, 61, 58, 69), cap, 2)


def _parking_meter(body: str, *, heads: int, pen: Pen) -> None:
    centres = (36,) if heads == 1 else (20, 52)
    pen.box((33, 34, 39, 70), GREY, 1)
    if heads == 2:
        pen.box((18, 40, 54, 46), GREY, 1)
    for x in centres:
        wide = 15 if heads == 1 else 13
        dome = arc_points((x - wide, 2, x + wide, 2 + 2 * wide), 180, 360)
        pen.polygon([*dome, (x + wide - 3, 42), (x - wide + 3, 42)], body)
        pen.polygon([*arc_points((x - 9, 7, x + 9, 25), 180, 360), (x + 9, 19), (x - 9, 19)], WHITE)
        pen.line([(x, 18), (x + 4, 11)], 1.5, DEEP_RED)
        pen.line([(x - 4, 26), (x + 4, 26)], 2.5)
        pen.box((x - 5, 31, x + 5, 38), LIGHT, 1)


def _bench(wood: str, legs: str, *, back: bool, pen: Pen) -> None:
    for x in (12, 54):
        pen.polygon([(x, 44), (x + 6, 44), (x + 8, 66), (x - 2, 66)], legs)
    if back:
        for x in (13, 54):
            pen.box((x, 12, x + 4, 46), legs, 1)
        for y in (12, 22, 32):
            pen.box((4, y, 68, y + 8), wood, 2)
    pen.box((3, 42, 69, 51), wood, 2)
    pen.line([(6, 46), (66, 46)], 1)


def _traffic_light(body: str, pen: Pen) -> None:
    pen.box((33, 50, 39, 70), GREY)
    pen.box((24, 3, 48, 54), body, 5)
    for y, lamp in ((13, DEEP_RED), (28, YELLOW), (43, DEEP_GREEN)):
        pen.polygon([(24, y - 5), (17, y - 5), (24, y + 4)], body)
        pen.polygon([(48, y - 5), (55, y - 5), (48, y + 4)], body)
        pen.dot(36, y, 6, lamp, INK)


def _stop_sign(board: str, pen: Pen) -> None:
    pen.box((33, 40, 39, 70), GREY)
    eight = [(24, 3), (48, 3), (62, 17), (62, 35), (48, 49), (24, 49), (10, 35), (10, 17)]
    pen.polygon([(float(x), float(y)) for x, y in eight], board)
    for letter in (
        [(23, 21), (17, 21), (17, 26), (23, 26), (23, 31), (17, 31)],
        [(26, 21), (33, 21)],
        [(29.5, 21), (29.5, 31)],
        [(37, 21), (43, 21), (43, 31), (37, 31), (37, 21)],
        [(48, 31), (48, 21), (54, 21), (54, 26), (48, 26)],
    ):
        pen.line([(float(x), float(y)) for x, y in letter], 2.2, WHITE)


def _bicycle(frame: str, *, step: bool, pen: Pen) -> None:
    for x in (17, 55):
        pen.dot(x, 48, 14, LIGHT)
        pen.oval((x - 14, 34, x + 14, 62), None, INK, 3)
        pen.dot(x, 48, 2, INK)
    low = (33.0, 48.0)
    top = (28.0, 26.0) if not step else (30.0, 38.0)
    pen.line([(17, 48), top, low, (17, 48)], 3, frame)
    pen.line([low, (50, 26), (55, 48)], 3, frame)
    if not step:
        pen.line([top, (50, 26)], 3, frame)
    pen.line([low, (27, 20)], 3, frame)
    pen.line([(20, 19), (33, 19)], 4)
    pen.line([(50, 26), (48, 16), (57, 15)], 3)


def _backpack(body: str, pocket: str, pen: Pen) -> None:
    pen.oval((28, 2, 44, 18), None, INK, 3)
    pen.box((8, 36, 18, 62), pocket, 4)
    pen.box((54, 36, 64, 62), pocket, 4)
    pen.box((14, 9, 58, 69), body, 14)
    pen.line([(18, 30), (54, 30)], 2)
    pen.box((21, 40, 51, 63), pocket, 5)
    pen.line([(21, 47), (51, 47)])
    pen.box((33, 45, 39, 52), AMBER, 1)


def _umbrella(one: str, two: str, pen: Pen) -> None:
    pen.line([(36, 8), (36, 58)], 3)
    pen.line(arc_points((24, 50, 36, 68), 0, 180), 3)
    pen.polygon([*arc_points((3, 8, 69, 72), 180, 360), (52, 36), (36, 40), (20, 36)], one)
    pen.polygon([(36, 8), (24, 22), (20, 38), (36, 40), (52, 38), (48, 22)], two)


def _handbag(body: str, flap: str, pen: Pen) -> None:
    pen.line(arc_points((20, 4, 52, 52), 180, 360), 5)
    pen.line(arc_points((20, 4, 52, 52), 180, 360), 2, flap)
    pen.polygon([(10, 28), (62, 28), (69, 66), (3, 66)], body)
    pen.polygon([(10, 28), (62, 28), (58, 45), (36, 52), (14, 45)], flap)
    pen.dot(36, 48, 4, YELLOW, INK)


def _tie(cloth: str, stripe: str, pen: Pen) -> None:
    pen.polygon([(31, 14), (41, 14), (50, 54), (36, 70), (22, 54)], cloth)
    for y in (26, 37, 48):
        pen.line([(36 - (y - 2) / 4.6, y + 4), (36 + (y - 2) / 4.6, y - 4)], 3.5, stripe)
    pen.line([(31, 14), (22, 54), (36, 70), (50, 54), (41, 14)])
    pen.polygon([(26, 2), (46, 2), (41, 15), (31, 15)], cloth)


def _suitcase(body: str, pen: Pen) -> None:
    pen.line([(28, 18), (28, 3), (44, 3), (44, 18)], 3)
    pen.box((14, 16, 58, 64), body, 6)
    for x in (25, 36, 47):
        pen.line([(x, 22), (x, 58)])
    for x in (22, 50):
        pen.dot(x, 66, 3.5, DARK, INK)


STREET: Final[dict[str, Drawing]] = {
    "fire_hydrant.red": partial(_fire_hydrant, RED, DEEP_RED),
    "fire_hydrant.yellow": partial(_fire_hydrant, YELLOW, AMBER),
    "fire_hydrant.blue": partial(_fire_hydrant, DEEP_BLUE, WHITE),
    "parking_meter.grey": partial(_parking_meter, GREY, heads=1),
    "parking_meter.blue": partial(_parking_meter, NAVY, heads=1),
    "parking_meter.double": partial(_parking_meter, DARK, heads=2),
    "bench.wood": partial(_bench, BROWN, DARK, back=True),
    "bench.green": partial(_bench, DEEP_GREEN, GREY, back=True),
    "bench.plain": partial(_bench, TAN, DARK_BROWN, back=False),
    "traffic_light.black": partial(_traffic_light, DARK),
    "traffic_light.yellow": partial(_traffic_light, AMBER),
    "stop_sign.pole": partial(_stop_sign, DEEP_RED),
    "bicycle.blue": partial(_bicycle, NAVY, step=False),
    "bicycle.green": partial(_bicycle, DEEP_GREEN, step=True),
    "backpack.blue": partial(_backpack, DEEP_BLUE, BLUE),
    "backpack.green": partial(_backpack, DEEP_GREEN, GREEN),
    "umbrella.red": partial(_umbrella, RED, WHITE),
    "umbrella.blue": partial(_umbrella, DEEP_BLUE, YELLOW),
    "handbag.red": partial(_handbag, RED, DEEP_RED),
    "handbag.pink": partial(_handbag, PINK, DEEP_PINK),
    "tie.red": partial(_tie, DEEP_RED, AMBER),
    "tie.blue": partial(_tie, NAVY, BLUE),
    "tie.green": partial(_tie, DEEP_GREEN, WHITE),
    "suitcase.blue": partial(_suitcase, DEEP_BLUE),
    "suitcase.pink": partial(_suitcase, DEEP_PINK),
}
"""Drawings by key; the part before the dot names the thing."""
