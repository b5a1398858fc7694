"""Scenes to pixels, with the visible box and area of each labelled object."""

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siglip2_multimodal_hash.datasets.mojicoco.backgrounds import CANVAS, paint
from siglip2_multimodal_hash.datasets.mojicoco.scenes import Scene
from siglip2_multimodal_hash.datasets.mojicoco.sprites import placed


@dataclass(frozen=True)
class VisibleObject:
    """The visible part of one labelled object, in pixels of the rendered image."""

    category_id: int
    bbox: tuple[int, int, int, int]
    """Left, top, width and height of the visible pixels."""
    area: int
    """Number of visible pixels."""


@dataclass(frozen=True)
class RenderedScene:
    """An image and its labelled objects, in drawing order."""

    image: NDArray[np.uint8]
    """uint8 [size, size, 3], RGB."""
    objects: tuple[VisibleObject, ...]


def render_scene(scene: Scene, size: int = CANVAS) -> RenderedScene:
    """Draw a scene as a square of ``size`` pixels per side."""
    canvas = paint(scene.background)
    if size != CANVAS:
        canvas = canvas.resize((size, size), Image.Resampling.BILINEAR)
    owner = Image.new("L", (size, size), 0)
    scale = size / CANVAS
    for number, thing in enumerate(scene.objects, start=1):
        centre = (thing.x * scale, thing.y * scale)
        sprite, left, top = placed(
            thing.artwork, centre, thing.size * scale, thing.angle, thing.flip, mask=False
        )
        alpha = sprite.getchannel("A")
        tinted = sprite.convert("RGB").convert("RGB", _tint(thing.tint))
        canvas.paste(tinted, (left, top), alpha)
        opaque = alpha.convert("1", dither=Image.Dither.NONE)
        owner.paste(number, (left, top, left + alpha.width, top + alpha.height), opaque)
    owners = np.asarray(owner)
    found = []
    for number, thing in enumerate(scene.objects, start=1):
        if thing.category_id:
            seen = _seen(thing.category_id, owners == number)
            if seen is not None:
                found.append(seen)
    return RenderedScene(np.asarray(canvas), tuple(found))


def _seen(category_id: int, mask: NDArray[np.bool_]) -> VisibleObject | None:
    """Box and area of a mask, bool [size, size]; None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    left, top = int(columns[0]), int(rows[0])
    box = (left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
    return VisibleObject(category_id, box, int(np.count_nonzero(mask)))


def _tint(tint: tuple[float, float, float]) -> tuple[float, ...]:
    """A 3 x 4 colour matrix for brightness, saturation and a turn of the hue."""
    brightness, saturation, turn = tint
    cosine, sine = round(cos(turn), 6) * saturation, round(sin(turn), 6) * saturation
    third = 1 / 3
    same = (third + (1 - third) * cosine) * brightness
    less = (third - third * cosine - 0.57735 * sine) * brightness
    more = (third - third * cosine + 0.57735 * sine) * brightness
    return (same, less, more, 0, more, same, less, 0, less, more, same, 0)
