"""Embeddings of COCO's size, with labels: files that a fit can be timed on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.real_labels import CLASSES, read_real_labels
from siglip2_multimodal_hash.errors import InputError

CAPTIONS = 5
_PIECE = 8192


class Features(NamedTuple):
    """Memory-mapped embeddings of n images."""

    image: npt.NDArray[np.float32]  # [n, D]
    caption: npt.NDArray[np.float32]  # [5 n, D]
    caption_offsets: npt.NDArray[np.int64]  # [n + 1]
    labels: npt.NDArray[np.uint8]  # [n, 80]


def write_features(
    folder: Path, images: int, width: int, annotations: Path | None, seed: int = 0
) -> Features:
    """Draw embeddings that are noisy sums of their classes' vectors, into two ``.npy`` files.

    Args:
        folder: Exists.
        images: Number of images.
        width: D.
        annotations: A folder with the real labels; None draws them, 2.9 per image.
        seed: Of all that is drawn.

    Raises:
        InputError: The folder does not have the labels, or not enough.
    """
    generator = np.random.default_rng(seed)
    labels = _labels(generator, images, annotations)
    for name, copies in (("image", 1), ("caption", CAPTIONS)):
        of_class = generator.standard_normal((CLASSES, width), dtype=np.float32)
        array = np.lib.format.open_memmap(
            folder / f"{name}.npy", "w+", np.dtype(np.float32), (images * copies, width)
        )
        for start in range(0, images, _PIECE):
            of_image = np.repeat(labels[start : start + _PIECE] @ of_class, copies, axis=0)
            rows = slice(start * copies, start * copies + len(of_image))
            noise = generator.standard_normal(of_image.shape, dtype=np.float32)
            array[rows] = of_image + 2 * noise
        array.flush()
    return open_features(folder, labels)


def open_features(folder: Path, labels: npt.NDArray[np.uint8]) -> Features:
    """Map what :func:`write_features` wrote."""
    image, caption = (
        np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("image", "caption")
    )
    return Features(image, caption, np.arange(len(labels) + 1) * CAPTIONS, labels)


def _labels(
    generator: np.random.Generator, images: int, annotations: Path | None
) -> npt.NDArray[np.uint8]:
    if annotations is None:
        drawn = generator.random((images, CLASSES)) < 2.9 / CLASSES
        return drawn.astype(np.uint8)
    real = read_real_labels(annotations).labels
    if len(real) < images:
        raise InputError(
            f"{annotations}: has {len(real)} images, {images} asked for", "lower --images"
        )
    return real[:images]
