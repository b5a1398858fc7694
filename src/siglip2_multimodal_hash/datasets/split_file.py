"""The split of each image: one file, in one normal form for every protocol.

``{"images": [{"cocoid", "filepath", "filename", "split"}, ...]}``: the fields of Karpathy's own
``dataset_coco.json`` without its captions, one image per line, in ascending cocoid.
"""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from siglip2_multimodal_hash.datasets.index import NEEDED, ROWS_OF, SPLITS
from siglip2_multimodal_hash.datasets.layout import is_safe_path
from siglip2_multimodal_hash.datasets.records import (
    column,
    first_duplicate,
    read_records,
    section,
)
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing

_REBUILD = "run `dvc repro download_karpathy_split`, which writes the split of every protocol"


class SplitImage(NamedTuple):
    """One image of the split; the fields are Karpathy's."""

    cocoid: int
    filepath: str
    filename: str
    split: str

    @property
    def file_name(self) -> str:
        """The name under ``images/``, e.g. ``val2014/COCO_val2014_000000000139.jpg``."""
        return f"{self.filepath}/{self.filename}".removeprefix("/")


def read_split(
    path: Path,
    known: Collection[str] = SPLITS,
    remedy: str = _REBUILD,
    folders: Collection[str] | None = None,
) -> tuple[SplitImage, ...]:
    """Read a split file in the normal form, or with more fields.

    Args:
        path: The file.
        known: Names of splits that may occur.
        remedy: Advice where the file breaks a rule.
        folders: Those that images may lie in; None: any.

    Returns:
        The images in ascending cocoid.

    Raises:
        DataError: The file is damaged, a field is missing, a split name or folder is unknown, a
            file name is unsafe, a cocoid occurs twice, or train, val or test is empty; the message
            names the file and the cocoid.
    """
    fields = ("cocoid", "filepath", "filename", "split")
    records = section(path, read_records(path, ("images", *fields)), "images")
    cocoids = column(path, "images", records, "cocoid", int)
    texts = (column(path, "images", records, field, str) for field in fields[1:])
    images = sorted(map(SplitImage._make, zip(cocoids, *texts, strict=True)))
    for image in images:
        _check_image(path, image, known, remedy, folders)
    duplicate = first_duplicate(cocoids)
    if duplicate is not None:
        raise DataError(f"{path}: cocoid {duplicate} occurs more than once", remedy)
    empty = missing_splits(image.split for image in images)
    if empty:
        raise DataError(f"{path}: no image is in split {' or '.join(empty)}", remedy)
    return tuple(images)


def write_split(path: Path, images: Iterable[SplitImage]) -> None:
    """Write the normal form: equal splits, equal bytes.

    Karpathy's own file is 144 MB, because it repeats every caption, tokenised.
    """
    lines = ",\n".join(json.dumps(image._asdict(), ensure_ascii=False) for image in sorted(images))
    with replacing(path) as temporary:
        temporary.write_text(f'{{"images": [\n{lines}\n]}}\n', encoding="utf-8")


def missing_splits(splits: Iterable[str]) -> list[str]:
    """Splits of train, val and test that have no image."""
    found = set(splits)
    return [name for name in NEEDED if found.isdisjoint(ROWS_OF[name])]


def _check_image(
    path: Path,
    image: SplitImage,
    known: Collection[str],
    remedy: str,
    folders: Collection[str] | None,
) -> None:
    if image.split not in known:
        raise DataError(
            f"{path}: cocoid {image.cocoid}: split {image.split!r} is unknown "
            f"(known: {', '.join(known)})",
            remedy,
        )
    if folders is not None and image.filepath not in folders:
        raise DataError(
            f"{path}: cocoid {image.cocoid}: filepath {image.filepath!r} is unknown "
            f"(known: {', '.join(folders)})",
            remedy,
        )
    if not is_safe_path(image.file_name) or "/" in image.filename:
        raise DataError(
            f"{path}: cocoid {image.cocoid}: filename {image.filename!r} is not a plain file name",
            "a file name must not lead out of the image folder: " + remedy,
        )
