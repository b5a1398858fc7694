"""Textured backgrounds: a wall over a floor, a sky over ground, or one surface seen from above."""

from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from siglip2_multimodal_hash.datasets.mojicoco.draws import Draws
from siglip2_multimodal_hash.datasets.mojicoco.themes import Theme

CANVAS = 128
"""Side of the canvas that scenes are laid out on, in pixels."""

_NOISE_SIDE = 256
_NOISE_SEED = 20140801
_MIDDLE = 128

Colour = tuple[int, int, int]

_PATTERNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # setting: patterns of the wall or the sky, patterns of the floor or the ground
    "room": (
        ("plain", "stripes", "tiles", "speckles", "checks"),
        ("plain", "planks", "tiles", "checks"),
    ),
    "outdoors": (("plain",), ("plain", "speckles", "stripes")),
    "surface": (("plain",), ("plain", "planks", "checks", "tiles", "speckles")),
}


@dataclass(frozen=True)
class Background:
    """Everything needed to paint a background, in pixels of the canvas."""

    horizon: int
    """Rows above this are wall or sky; 0 for a surface."""
    far: tuple[Colour, Colour]
    """Colours at the top of the wall or sky and just above the horizon."""
    near: tuple[Colour, Colour]
    """Colours just below the horizon and at the bottom."""
    far_pattern: str
    near_pattern: str
    far_period: int
    near_period: int
    skirting: bool
    """A dark line along the horizon."""
    grain: int
    """Number of the noise field that lies over it."""
    grain_offset: tuple[int, int]
    grain_strength: int


def sample_background(theme: Theme, draws: Draws) -> Background:
    """A background that suits the theme."""
    far = _shade(_rgb(draws.pick(theme.far)), draws)
    near = _shade(_rgb(draws.pick(theme.near)), draws)
    inside = theme.setting == "room"
    surface = theme.setting == "surface"
    walls, floors = _PATTERNS[theme.setting]
    return Background(
        horizon=0 if surface else round(draws.uniform(0.38, 0.68) * CANVAS),
        far=(far, _shade(far, draws)),
        near=(near, _shade(near, draws)),
        far_pattern=draws.pick(walls),
        near_pattern=draws.pick(floors),
        far_period=8 + draws.below(14),
        near_period=8 + draws.below(14),
        skirting=inside and draws.chance(0.6),
        grain=draws.below(4),
        grain_offset=(draws.below(_NOISE_SIDE - CANVAS), draws.below(_NOISE_SIDE - CANVAS)),
        grain_strength=3 + draws.below(18),
    )


def paint(background: Background) -> Image.Image:
    """The background as an RGB image of CANVAS x CANVAS pixels."""
    horizon = background.horizon
    column = np.concatenate(
        [_blend(background.far, horizon), _blend(background.near, CANVAS - horizon)]
    )
    gradient = Image.fromarray(column[:, None]).resize((CANVAS, CANVAS), Image.Resampling.NEAREST)
    left, top = background.grain_offset
    grain = _grain(background.grain, background.grain_strength)
    grain = grain.crop((left, top, left + CANVAS, top + CANVAS))
    image = ImageChops.add(gradient, grain, 1, -_MIDDLE)
    line = _darker(background.far[1])
    _overlay(image, background.far_pattern, background.far_period, (0, horizon), line)
    line = _darker(background.near[0])
    _overlay(image, background.near_pattern, background.near_period, (horizon, CANVAS), line)
    if background.skirting:
        image.paste(_darker(line), (0, horizon - 2, CANVAS, horizon + 1))
    return image


def _overlay(
    image: Image.Image, pattern: str, period: int, rows: tuple[int, int], colour: Colour
) -> None:
    """Lay a pattern over some rows."""
    top, bottom = rows
    if pattern != "plain" and bottom > top:
        mask = _pattern(pattern, period).crop((0, 0, CANVAS, bottom - top))
        image.paste(colour, (0, top, CANVAS, bottom), mask)


@cache
def _pattern(pattern: str, period: int) -> Image.Image:
    """Mask of a pattern's darker colour: mode "1", CANVAS x CANVAS."""
    mask = Image.new("1", (CANVAS, CANVAS))
    draw = ImageDraw.Draw(mask)
    starts = range(period // 2, CANVAS, period)
    if pattern in ("stripes", "tiles", "checks"):
        width = period // 3 if pattern == "stripes" else 1
        for x in starts:
            draw.rectangle((x, 0, x + width - 1, CANVAS), fill=1)
    if pattern in ("planks", "tiles", "checks"):
        for y in starts:
            draw.line((0, y, CANVAS, y), fill=1)
    if pattern == "checks":
        for row, y in enumerate(starts):
            for x in starts[row % 2 :: 2]:
                draw.rectangle((x, y, x + period, y + period), fill=1)
    if pattern == "speckles":
        for i in range(2 * CANVAS):
            x, y = i * 53 % CANVAS, i * 31 % CANVAS
            draw.line((x, y, x + period // 8, y), fill=1)
    return mask


@cache
def _grain(field: int, strength: int) -> Image.Image:
    """Grey noise around _MIDDLE, coarser for a higher ``field``: RGB, _NOISE_SIDE per side."""
    draws = Draws.seeded(_NOISE_SEED, field)
    side = _NOISE_SIDE >> field
    coarse = Image.new("L", (side, side))
    coarse.putdata([draws.below(2 * strength + 1) for _ in range(side * side)])
    shift = _MIDDLE - strength
    smooth = coarse.resize((_NOISE_SIDE, _NOISE_SIDE), Image.Resampling.BILINEAR)
    return smooth.point(range(shift, shift + 256)).convert("RGB")


def _blend(ends: tuple[Colour, Colour], count: int) -> NDArray[np.uint8]:
    """``count`` colours from the first to the second: uint8 [count, 3]."""
    first, last = (np.asarray(colour, np.int32) for colour in ends)
    steps = np.arange(count, dtype=np.int32)[:, None]
    return (first + (last - first) * steps // max(count, 1)).astype(np.uint8)


def _rgb(text: str) -> Colour:
    return cast(Colour, tuple(int(text[i : i + 2], 16) for i in (1, 3, 5)))


def _shade(colour: Colour, draws: Draws) -> Colour:
    light = draws.uniform(-16, 16)
    shifted = (round(channel + light + draws.uniform(-8, 8)) for channel in colour)
    return cast(Colour, tuple(min(255, max(0, channel)) for channel in shifted))


def _darker(colour: Colour) -> Colour:
    return cast(Colour, tuple(channel * 88 // 100 for channel in colour))
