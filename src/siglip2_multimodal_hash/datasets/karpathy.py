"""Karpathy and Fei-Fei's split of COCO 2014: train, restval, val and test.

Source: ``dataset_coco.json`` in caption_datasets.zip (Karpathy and Fei-Fei, CVPR 2015). The 30,504
images of val2014 that are in neither val nor test are ``restval`` and belong to training.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from siglip2_multimodal_hash.datasets.layout import IMAGE_FOLDERS, is_safe_name
from siglip2_multimodal_hash.datasets.records import (
    column,
    first_duplicate,
    read_records,
    section,
)
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing

SPLITS = ("train", "restval", "val", "test")
_FETCH = (
    "fetch dataset_coco.json again: caption_datasets.zip, "
    "https://cs.stanford.edu/people/karpathy/deepimagesent/"
)


class SplitImage(NamedTuple):
    """One image of the split; the fields are Karpathy's."""

    cocoid: int
    filepath: str
    filename: str
    split: str

    @property
    def file_name(self) -> str:
        """The name under ``images/``, e.g. ``val2014/COCO_val2014_000000000139.jpg``."""
        return f"{self.filepath}/{self.filename}"


def read_karpathy_split(path: Path) -> tuple[SplitImage, ...]:
    """Read Karpathy's own file or the one that :func:`write_karpathy_split` wrote.

    Returns:
        The images in ascending cocoid.

    Raises:
        DataError: The file is damaged, a field is missing, a split name or folder is unknown, a
            file name is unsafe, or a cocoid occurs twice; the message names it and the cocoid.
    """
    fields = ("cocoid", "filepath", "filename", "split")
    records = section(path, read_records(path, ("images", *fields)), "images")
    cocoids = column(path, "images", records, "cocoid", int)
    texts = (column(path, "images", records, field, str) for field in fields[1:])
    images = sorted(map(SplitImage._make, zip(cocoids, *texts, strict=True)))
    for image in images:
        _check_image(path, image)
    duplicate = first_duplicate(cocoids)
    if duplicate is not None:
        raise DataError(f"{path}: cocoid {duplicate} occurs more than once", _FETCH)
    counts = Counter(image.split for image in images)
    # `restval` may be empty: it only enlarges the training split.
    empty = [split for split in SPLITS if not counts[split] and split != "restval"]
    if empty:
        raise DataError(f"{path}: no image is in split {' or '.join(empty)}", _FETCH)
    return tuple(images)


def write_karpathy_split(path: Path, images: Iterable[SplitImage]) -> None:
    """Write ``{"images": [...]}``, one image a line in ascending cocoid: equal splits, equal bytes.

    Karpathy's own file is 144 MB, because it repeats every caption, tokenised.
    """
    lines = ",\n".join(json.dumps(image._asdict(), ensure_ascii=False) for image in sorted(images))
    with replacing(path) as temporary:
        temporary.write_text(f'{{"images": [\n{lines}\n]}}\n', encoding="utf-8")


def normalise_karpathy_split(source: Path, target: Path) -> dict[str, int]:
    """Check the split at ``source`` and write it to ``target`` without the captions.

    Returns:
        The number of images in each of :data:`SPLITS`.

    Raises:
        DataError: See :func:`read_karpathy_split`; then nothing is written.
    """
    images = read_karpathy_split(source)
    write_karpathy_split(target, images)
    counts = Counter(image.split for image in images)
    return {split: counts[split] for split in SPLITS}


def _check_image(path: Path, image: SplitImage) -> None:
    if image.split not in SPLITS:
        raise DataError(
            f"{path}: cocoid {image.cocoid}: split {image.split!r} is unknown "
            f"(known: {', '.join(SPLITS)})",
            _FETCH,
        )
    if image.filepath not in IMAGE_FOLDERS:
        raise DataError(
            f"{path}: cocoid {image.cocoid}: filepath {image.filepath!r} is unknown "
            f"(known: {', '.join(IMAGE_FOLDERS)})",
            _FETCH,
        )
    if not is_safe_name(image.filename):
        raise DataError(
            f"{path}: cocoid {image.cocoid}: filename {image.filename!r} is not a plain file name",
            "a file name must not lead out of the image folder: " + _FETCH,
        )
