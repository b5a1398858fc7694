"""Drawings of devices, small things of the house and animals, in further variants."""

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
    GREEN,
    GREY,
    INK,
    LIGHT,
    NAVY,
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


def _tv(screen: str, pen: Pen) -> None:
    pen.line([(24, 18), (12, 3)], 2)
    pen.line([(40, 18), (54, 3)], 2)
    pen.box((4, 16, 68, 62), BROWN, 5)
    pen.box((9, 21, 52, 57), screen, 6)
    for y in (28, 40):
        pen.dot(60, y, 4, LIGHT, INK)
    for x in (12, 54):
        pen.line([(x, 63), (x - 2, 69)], 3)


def _flat_tv(screen: str, pen: Pen) -> None:
    pen.box((2, 10, 70, 54), DARK, 2)
    pen.box((6, 14, 66, 49), screen, 0, None)
    pen.polygon([(6, 49), (24, 28), (38, 42), (50, 32), (66, 49)], DEEP_GREEN, None)
    pen.dot(52, 22, 4, YELLOW)
    pen.box((30, 54, 42, 61), GREY)
    pen.line([(20, 63), (52, 63)], 4)


def _laptop(lid: str, screen: str, pen: Pen) -> None:
    pen.box((12, 8, 60, 46), lid, 3)
    pen.box((17, 13, 55, 41), screen, 1)
    pen.polygon([(12, 46), (60, 46), (70, 62), (2, 62)], LIGHT)
    pen.polygon([(17, 49), (55, 49), (59, 56), (13, 56)], DARK, None)


def _mouse(body: str, pen: Pen) -> None:
    pen.line(arc_points((20, -14, 52, 22), 90, 20), 2.5)
    pen.box((18, 16, 54, 69), body, 17)
    pen.line([(18, 38), (54, 38)])
    pen.line([(36, 18), (36, 38)])
    pen.box((33, 24, 39, 34), DARK, 3)


def _remote(body: str, key: str, pen: Pen) -> None:
    pen.box((23, 2, 49, 70), body, 6)
    pen.dot(30, 10, 3.2, RED, INK)
    pen.oval((28, 16, 44, 32), key)
    pen.dot(36, 24, 3, body, INK)
    for y in (39, 47, 55, 63):
        for x in (30, 36, 42):
            pen.dot(x, y, 2, key)


def _keyboard(body: str, key: str, pen: Pen) -> None:
    pen.box((2, 20, 70, 54), body, 4)
    for row, y in enumerate((25, 32, 39)):
        for i in range(9):
            x = 6 + i * 6.7 + row % 2
            pen.box((x, y, x + 4.8, y + 4.8), key, 1, None)
    pen.box((20, 46, 52, 50.5), key, 1, None)


def _phone(body: str, screen: str, pen: Pen) -> None:
    pen.box((19, 2, 53, 70), body, 6)
    pen.box((23, 9, 49, 60), screen, 1)
    pen.dot(36, 65, 2.2, WHITE)
    for i in range(6):
        x, y = 28 + 8 * (i % 3), 18 + 10 * (i // 3)
        pen.box((x - 2.5, y - 2.5, x + 2.5, y + 2.5), (RED, YELLOW, GREEN)[i % 3], 1, None)


def _scissors(handle: str, pen: Pen) -> None:
    pen.polygon([(20, 4), (26, 4), (44, 44), (36, 44)], LIGHT)
    pen.polygon([(52, 4), (46, 4), (28, 44), (36, 44)], GREY)
    pen.oval((10, 42, 32, 68), None, INK, 9)
    pen.oval((40, 42, 62, 68), None, INK, 9)
    pen.oval((12, 44, 30, 66), None, handle, 5)
    pen.oval((42, 44, 60, 66), None, handle, 5)
    pen.dot(36, 36, 2, INK)


def _hair_drier(body: str, nozzle: str, pen: Pen) -> None:
    pen.polygon([(34, 38), (46, 36), (52, 68), (40, 69)], nozzle)
    pen.box((4, 16, 24, 38), nozzle, 2)
    pen.polygon([(18, 13), (44, 6), (44, 48), (18, 41)], body)
    pen.oval((30, 5, 68, 49), body)
    for x in (50, 56, 62):
        pen.line([(x, 20), (x, 34)], 2)
    pen.line([(43, 52), (45, 58)], 3)


def _toothbrush(handle: str, bristle: str, pen: Pen) -> None:
    pen.line([(8, 64), (62, 10)], 8)
    pen.line([(8, 64), (62, 10)], 4.5, handle)
    pen.polygon([(44, 20), (60, 4), (52, -1), (36, 15)], bristle)
    for i in range(3):
        x, y = 48 + 4 * i, 16 - 4 * i
        pen.line([(x, y), (x - 8, y - 5)], 1)


def _teddy(fur: str, snout: str, pen: Pen) -> None:
    for x in (18, 54):
        pen.dot(x, 10, 8, fur, INK)
        pen.oval((x - 12, 40, x + 8, 54) if x < 36 else (x - 8, 40, x + 12, 54), fur)
    pen.oval((18, 36, 54, 68), fur)
    for x in (22, 50):
        pen.dot(x, 63, 8, snout, INK)
    pen.oval((14, 5, 58, 44), fur)
    pen.oval((27, 24, 45, 40), snout)
    pen.dot(36, 28, 3, INK)
    for x in (26, 46):
        pen.dot(x, 20, 2.6, INK)


def _elephant_face(pen: Pen) -> None:
    pen.oval((1, 10, 28, 48), GREY)
    pen.oval((44, 10, 71, 48), GREY)
    pen.oval((7, 17, 23, 41), PINK, None)
    pen.oval((49, 17, 65, 41), PINK, None)
    pen.polygon(
        [*arc_points((16, 6, 56, 52), 150, 390), (43, 52), (44, 69), (33, 69), (29, 50)], GREY
    )
    for x in (27, 45):
        pen.dot(x, 28, 2.6, INK)
    for y in (50, 57):
        pen.line([(33, y), (41, y)], 1.5)
    pen.polygon([(22, 44), (28, 46), (22, 56)], WHITE)
    pen.polygon([(50, 44), (44, 46), (50, 56)], WHITE)


def _long_face(coat: str, patch: str, snout: str, *, horns: bool, pen: Pen) -> None:
    for x in (18, 54):
        pen.polygon([(x, 14), (x + (-12 if x < 36 else 12), 8), (x, 24)], coat)
        if horns:
            inner = 28 if x < 36 else 44
            pen.line([(inner, 16), (inner, 5)], 4)
            pen.dot(inner, 4, 3.5, DARK_BROWN, INK)
    pen.polygon([(20, 12), (52, 12), (54, 30), (47, 58), (25, 58), (18, 30)], coat)
    if horns:
        for x, y, r in ((26, 22, 4), (45, 20, 5), (36, 32, 4), (28, 42, 3), (45, 41, 3.5)):
            pen.dot(x, y, r, patch)
    else:
        pen.polygon([(29, 3), (43, 3), (40, 20), (32, 20)], patch)
        for y in (24, 33, 42):
            pen.line([(20, y - 3), (31, y + 2)], 3.5, patch)
            pen.line([(52, y - 3), (41, y + 2)], 3.5, patch)
    pen.oval((21, 48, 51, 69), snout)
    for x in (30, 42):
        pen.dot(x, 57, 1.8, INK)
    for x in (24, 48):
        pen.dot(x, 28, 3, INK)


DEVICES: Final[dict[str, Drawing]] = {
    "tv.old": partial(_tv, BLUE),
    "tv.flat": partial(_flat_tv, BLUE),
    "laptop.blue": partial(_laptop, GREY, DEEP_BLUE),
    "laptop.dark": partial(_laptop, DARK, WHITE),
    "mouse.white": partial(_mouse, WHITE),
    "mouse.black": partial(_mouse, GREY),
    "remote.black": partial(_remote, DARK, LIGHT),
    "remote.white": partial(_remote, LIGHT, DARK),
    "remote.blue": partial(_remote, NAVY, WHITE),
    "keyboard.black": partial(_keyboard, DARK, LIGHT),
    "keyboard.white": partial(_keyboard, WHITE, GREY),
    "phone.apps": partial(_phone, DARK, WHITE),
    "phone.pink": partial(_phone, DEEP_PINK, BLUE),
    "scissors.blue": partial(_scissors, DEEP_BLUE),
    "scissors.green": partial(_scissors, GREEN),
    "hair_drier.pink": partial(_hair_drier, PINK, DEEP_PINK),
    "hair_drier.purple": partial(_hair_drier, PURPLE, DARK),
    "hair_drier.red": partial(_hair_drier, RED, LIGHT),
    "toothbrush.red": partial(_toothbrush, RED, WHITE),
    "toothbrush.green": partial(_toothbrush, GREEN, BLUE),
    "teddy.tan": partial(_teddy, TAN, WHITE),
    "teddy.pink": partial(_teddy, PINK, WHITE),
    "elephant.face": partial(_elephant_face),
    "giraffe.face": partial(_long_face, AMBER, BROWN, TAN, horns=True),
    "zebra.face": partial(_long_face, WHITE, DARK, GREY, horns=False),
}
"""Drawings by key; the part before the dot names the thing."""
