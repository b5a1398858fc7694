"""Photos and captions through the towers, as the ``embed`` stage does it, a few at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from siglip2_multimodal_hash.datasets.images import explained_memory
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.prediction.photos import read_photo

if TYPE_CHECKING:
    from siglip2_multimodal_hash.features.towers import Towers

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EmbeddedPhotos:
    """What became of the files.

    Attributes:
        paths: The n that are photos, in the order in which they were given.
        image: float32 [n, D_i], the image tower's pooled output.
        failures: A message for each of the others.
    """

    paths: tuple[Path, ...]
    image: FloatArray
    failures: tuple[str, ...]


def embed_photos(towers: "Towers", paths: Sequence[Path], batch_size: int) -> EmbeddedPhotos:
    """Embed what can be read and name what cannot.

    Args:
        towers: Where they compute.
        paths: Files.
        batch_size: Photos that go through the tower at a time. Of these only the tower's inputs
            are held at once: a photo of 12 megapixels has 36 MB.
    """
    readable: list[Path] = []
    failures: list[str] = []
    parts = [np.empty((0, 0), dtype=np.float32)]
    for start in range(0, len(paths), batch_size):
        inputs = []
        for path in paths[start : start + batch_size]:
            try:
                photo = read_photo(path)
                with explained_memory(str(path), photo.size):
                    inputs.append(towers.preprocess([photo]))
                readable.append(path)
            except InputError as error:
                failures.append(str(error).splitlines()[0])
        if inputs:
            joined = {name: torch.cat([one[name] for one in inputs]) for name in inputs[0]}
            parts.append(towers.encode_images(joined).cpu().numpy())
    return EmbeddedPhotos(tuple(readable), _stacked(parts), tuple(failures))


def embed_caption(towers: "Towers", caption: str) -> FloatArray:
    """The text tower's pooled output of one caption, float32 [1, D_t]."""
    features: FloatArray = towers.encode_texts([caption]).cpu().numpy()
    return features


def _stacked(parts: list[FloatArray]) -> FloatArray:
    # Without a photo there is no width to know, and nothing to stack.
    return np.concatenate(parts[1:]) if len(parts) > 1 else parts[0]
