"""Small copies of photos as data URLs, within a budget of bytes."""

import base64
import io
from collections.abc import Iterable

from PIL import Image

from siglip2_multimodal_hash.datasets.images import ImageSource

QUERY_SIDE = 240
NEIGHBOUR_SIDE = 96
QUALITY = 62
# Lanczos of a photo that is reduced more than so many times over is no sharper, only slower.
_REDUCING_GAP = 3.0
# Of the JSON around one picture: its key, quotes and comma.
_AROUND = 24


def data_url(image: Image.Image, side: int) -> str:
    """A WebP of at most ``side`` x ``side`` pixels; a smaller photo stays as it is."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def within_budget(
    images: ImageSource, wanted: Iterable[tuple[str, str, int]], budget: int
) -> dict[str, str]:
    """Data URLs of as many photos as fit.

    Args:
        images: Source of the photos.
        wanted: Key, file name and side of each, the most important first. A key that comes again
            costs nothing.
        budget: Bytes that all of them may take. The first that does not fit ends it, so that what
            is left out is always the end.

    Returns:
        By key.

    Raises:
        DataError: A photo is missing or damaged.
    """
    made: dict[str, str] = {}
    for key, name, side in wanted:
        if key in made:
            continue
        url = data_url(images.open(name), side)
        budget -= len(url) + len(key) + _AROUND
        if budget < 0:
            break
        made[key] = url
    return made
