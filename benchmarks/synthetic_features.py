"""Embeddings of COCO's size, with labels: files that a fit can be timed on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.real_labels import CLASSES, read_real_labels
from siglip2_multimodal_hash.errors import InputError

CAPTIONS = 5
_PIECE = 8192
# Dimensions of what an image shows, and standard deviations where that of a class's vector is 1: of
# the noise in those dimensions, and in all D. From 5,000 images with real labels, KNN, regression
# and zero-shot then have a test mAP of some 70: neither chance nor perfect.
_SHOWN, _NOISE, _REST = 64, 2.0, 0.3


class Features(NamedTuple):
    """Memory-mapped embeddings of n images."""

    image: npt.NDArray[np.float32]  # [n, D]
    caption: npt.NDArray[np.float32]  # [5 n, D]
    caption_offsets: npt.NDArray[np.int64]  # [n + 1]
    labels: npt.NDArray[np.uint8]  # [n, 80]


def write_features(
    folder: Path, images: int, width: int, annotations: Path | None, seed: int = 0
) -> Features:
    """Draw embeddings of labelled images with five captions each, into files.

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
    draw_embeddings(folder, labels, np.full(images, CAPTIONS), width, generator)
    return open_features(folder, labels)


def draw_embeddings(
    folder: Path,
    labels: npt.NDArray[np.uint8],
    captions: npt.NDArray[np.int64],
    width: int,
    generator: np.random.Generator,
) -> None:
    """Draw ``image.npy`` [n, D], ``caption.npy`` [m, D] and ``prompt.npy`` [C, D] by labels.

    What an image shows is the sum of its classes' vectors, in fewer dimensions than there are
    classes, and noise. A class's vector has a part of those that it occurs with. A row adds noise
    of its own, and what all rows of its modality have in common; norms vary.

    Args:
        folder: Exists.
        labels: [n, C], multi-hot.
        captions: [n], of each image; they stand in the order of the images.
        width: D.
        generator: Of all that is drawn.
    """

    def normal(*shape: int) -> npt.NDArray[np.float32]:
        return generator.standard_normal(shape, dtype=np.float32)

    images, classes = labels.shape
    wide = labels.astype(np.float32)
    together = wide.T @ wide
    occurrence = together / np.maximum(together.diagonal(), 1)[:, None]  # of the column's class
    np.fill_diagonal(occurrence, 1)
    of_class = occurrence @ normal(classes, _SHOWN)
    of_image = wide @ of_class + _NOISE * normal(images, _SHOWN)
    spread = normal(_SHOWN, width) / np.float32(_SHOWN**0.5)
    counts = {"image": np.ones(images, np.int64), "caption": captions}
    for name, of_each in counts.items():
        common = normal(width)
        array = np.lib.format.open_memmap(
            folder / f"{name}.npy", "w+", np.dtype(np.float32), (int(of_each.sum()), width)
        )
        end = 0
        for start in range(0, images, _PIECE):
            piece = slice(start, start + _PIECE)
            shown = np.repeat(of_image[piece], of_each[piece], axis=0)
            shown += _NOISE * normal(*shown.shape)
            rows = common + shown @ spread + _REST * normal(len(shown), width)
            array[end : end + len(rows)] = rows * np.exp(0.1 * normal(len(rows), 1))
            end += len(rows)
        array.flush()
    np.save(folder / "prompt.npy", common + of_class @ spread)


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
