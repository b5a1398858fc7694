"""Codes and labels of the size and the lists of HashNet's protocol on COCO."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.real_labels import CLASSES, read_real_labels
from siglip2_multimodal_hash.datasets.hashnet_lists import read_lists
from siglip2_multimodal_hash.retrieval.codes import binarize

LABELS_AN_IMAGE = 2.9
# Deviation of the noise beside that of the classes' sum: two images with the same labels then
# differ in some 13 of 64 bits, two without a common one in half of them.
NOISE = 0.5

Codes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


class CodeSet(NamedTuple):
    """Packed codes and multi-hot labels of queries and database."""

    query_codes: Codes  # [Q, bits / 8]
    database_codes: Codes  # [N, bits / 8]
    query_labels: Labels  # [Q, 80]
    database_labels: Labels  # [N, 80]


def draw_codes(
    queries: int, items: int, bits: int, annotations: Path | None, *, seed: int = 0
) -> CodeSet:
    """Draw codes that cluster by label: signs of a random vector a class, summed, plus noise.

    Args:
        queries: Q, the first of them.
        items: N, the first of them.
        bits: Of a code.
        annotations: A folder with the real labels and ``hashnet/``, whose lists then say which
            image is a query; None draws the labels, 2.9 per image and one at least.
        seed: Of all that is drawn.

    Raises:
        InputError: The folder does not hold what is needed.
    """
    generator = np.random.default_rng(seed)
    if annotations is None:
        drawn = generator.random((queries + items, CLASSES)) < LABELS_AN_IMAGE / CLASSES
        drawn[np.arange(len(drawn)), generator.integers(CLASSES, size=len(drawn))] = True
        labels = drawn.astype(np.uint8)
        query_labels, database_labels = labels[:queries], labels[queries:]
    else:
        query_labels, database_labels = _real(annotations)
        query_labels, database_labels = query_labels[:queries], database_labels[:items]
    of_class = generator.standard_normal((CLASSES, bits), dtype=np.float32)
    query_codes, database_codes = (
        binarize(_soft(labels, of_class, generator)) for labels in (query_labels, database_labels)
    )
    return CodeSet(query_codes, database_codes, query_labels, database_labels)


def _soft(
    labels: Labels, of_class: npt.NDArray[np.float32], generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Sums of the classes' vectors plus noise of a share of their length, float32 [n, bits]."""
    sums = labels.astype(np.float32) @ of_class
    spread = np.sqrt(labels.sum(axis=1, keepdims=True, dtype=np.float32))
    noise = generator.standard_normal(sums.shape, dtype=np.float32)
    return np.asarray(sums + NOISE * spread * noise, dtype=np.float32)


def _real(annotations: Path) -> tuple[Labels, Labels]:
    """Labels of the queries, in the list's order, and of every other labelled image."""
    real = read_real_labels(annotations)
    row_of = {int(image): row for row, image in enumerate(real.ids)}
    # val2014/COCO_val2014_000000477705.jpg
    names = read_lists(annotations)["test"]
    queries = np.array([row_of[int(name.rsplit("_", 1)[1].split(".")[0])] for name in names])
    others = np.setdiff1d(np.flatnonzero(real.labels.any(axis=1)), queries)
    return real.labels[queries], real.labels[others]
