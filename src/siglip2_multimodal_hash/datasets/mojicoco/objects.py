"""Objects in their places, those of them that can be seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from siglip2_multimodal_hash.datasets.mojicoco.layout import Pairing, Placement
from siglip2_multimodal_hash.datasets.mojicoco.sprites import placed

LEAST_VISIBLE = 0.4
"""An object of which less than this share is seen is left out of the scene."""

_SCALE = 0.5
"""Visibility is worked out on a canvas of half the side, which is four times cheaper."""


@dataclass(frozen=True)
class PlacedObject:
    """One artwork on the canvas."""

    category_id: int
    """0 for clutter."""
    artwork: str
    x: float
    y: float
    """Its middle, in pixels of the canvas, from the upper left corner."""
    size: float
    """Its longest side before turning, in pixels."""
    angle: float
    """Clockwise, in degrees."""
    flip: bool
    tint: tuple[float, float, float]
    """Brightness and saturation (1 is unchanged), and a turn of the hue in radians."""
    visible: float
    """Share of its area that neither later objects nor the canvas' edge hide."""


def visible_objects(
    placements: Sequence[Placement], pairing: Pairing | None, canvas: int
) -> tuple[tuple[PlacedObject, ...], Pairing | None]:
    """The placements that can be seen, in drawing order, and the pairing if both parts are seen.

    From front to back: an object is kept if at least LEAST_VISIBLE of its area is neither under
    the objects kept so far nor off the canvas.
    """
    side = round(canvas * _SCALE)
    covered = np.zeros((side, side), bool)
    kept: list[PlacedObject] = []
    new_index: dict[int, int] = {}
    for index in range(len(placements) - 1, -1, -1):
        placement = placements[index]
        share = _cover(placement, covered)
        if share is None:
            continue
        new_index[index] = len(kept)
        kept.append(_object(placement, share))
    count = len(kept)
    if pairing is not None:
        first, second = new_index.get(pairing.subject), new_index.get(pairing.object)
        if first is None or second is None:
            pairing = None
        else:
            pairing = replace(pairing, subject=count - 1 - first, object=count - 1 - second)
    return tuple(reversed(kept)), pairing


def _object(placement: Placement, share: float) -> PlacedObject:
    return PlacedObject(
        category_id=placement.artwork.category_id,
        artwork=placement.artwork.key,
        x=placement.x,
        y=placement.y,
        size=placement.size,
        angle=placement.angle,
        flip=placement.flip,
        tint=placement.tint,
        visible=round(share, 3),
    )


def _cover(placement: Placement, covered: NDArray[np.bool_]) -> float | None:
    """Visible share of a placement, marked in ``covered``, bool [side, side]; None if small."""
    centre = (placement.x * _SCALE, placement.y * _SCALE)
    size = placement.size * _SCALE
    image, left, top = placed(
        placement.artwork.key, centre, size, placement.angle, placement.flip, mask=True
    )
    mask = np.asarray(image) >= 128
    total = int(np.count_nonzero(mask))
    side = len(covered)
    rows = slice(max(top, 0), min(top + mask.shape[0], side))
    columns = slice(max(left, 0), min(left + mask.shape[1], side))
    inside = mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    hidden = covered[rows, columns]
    seen = int(np.count_nonzero(inside & ~hidden))
    if total == 0 or seen < LEAST_VISIBLE * total:
        return None
    hidden |= inside
    return seen / total
