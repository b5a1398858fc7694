"""COCO 2014's layout under a root folder, and the file names that are safe to follow in it.

::

    images/train2014/  or  images/train2014.zip  or  train2014/  or  train2014.zip
    images/val2014/    or  images/val2014.zip    or  val2014/    or  val2014.zip
    annotations/{instances,captions}_{train,val}2014.json
    karpathy_split.json  or  dataset_coco.json  (Karpathy's own name)
    hashnet/{train,test,database}.txt  or  hashnet/{train,test,database}_images.txt

The archives are the official ones: their members are ``val2014/COCO_val2014_000000000139.jpg``.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from siglip2_multimodal_hash.errors import DataError

IMAGE_FOLDERS = ("train2014", "val2014")
OFFICIAL_COUNTS = {"train2014": 82_783, "val2014": 40_504}
"""Images in each folder of the whole of COCO 2014."""
SPLIT_NAMES = ("karpathy_split.json", "dataset_coco.json")
ANNOTATION_NAMES = tuple(
    f"annotations/{kind}_{folder}.json"
    for kind in ("captions", "instances")
    for folder in IMAGE_FOLDERS
)
HASHNET_FOLDER = "hashnet"
HASHNET_LISTS = {
    split: (f"{split}.txt", f"{split}_images.txt") for split in ("train", "test", "database")
}
FETCH = "`smhash download coco2014` fetches what is missing"

# One path component on every platform: separators, drives and streams (`:`), leading dots (which
# take `.` and `..` with them), and the trailing dots and spaces that Windows drops are all out.
_SAFE_NAME = re.compile(r"[^./\\: ](?:[^/\\:]*[^/\\:. ])?")


@dataclass(frozen=True)
class CocoLayout:
    """Paths of the pieces of one copy of COCO 2014; keys are :data:`IMAGE_FOLDERS`."""

    root: Path
    images: dict[str, Path]
    instances: dict[str, Path]
    captions: dict[str, Path]

    @property
    def annotation_files(self) -> tuple[Path, ...]:
        """The four JSON files, in ascending order of their names."""
        return tuple(sorted((*self.captions.values(), *self.instances.values())))


def source_root(name: str, folder: Path, coco_root: str) -> Path:
    """The folder that holds the images and annotations of a dataset.

    Args:
        name: ``dataset.name``.
        folder: Output of the stage ``prepare_dataset``. It holds the files of mojicoco, and of
            COCO only the manifest: COCO is read where it lies.
        coco_root: ``runtime.coco_root``.
    """
    return folder if name == "mojicoco" else Path(coco_root)


def find_layout(root: Path, *, split: bool = False) -> CocoLayout:
    """Find images and annotations under ``root``; of a folder and an archive, the folder is taken.

    Args:
        root: The folder that holds ``images/`` and ``annotations/``.
        split: Ask for Karpathy's split too.

    Raises:
        DataError: ``root`` is no folder, or pieces are missing; all of them are listed at once.
    """
    _check_root(root)
    images, missing = _images(root)
    files: dict[str, dict[str, Path]] = {"captions": {}, "instances": {}}
    for kind, by_folder in files.items():
        for folder in IMAGE_FOLDERS:
            by_folder[folder] = root / "annotations" / f"{kind}_{folder}.json"
            if not os.path.isfile(by_folder[folder]):
                missing.append(f"annotations/{kind}_{folder}.json")
    if split and split_file(root) is None:
        missing.append(" or ".join(SPLIT_NAMES))
    if missing:
        raise _missing(root, missing)
    return CocoLayout(root, images, files["instances"], files["captions"])


def find_images(root: Path) -> dict[str, Path]:
    """The folder or archive of each of :data:`IMAGE_FOLDERS`.

    Raises:
        DataError: ``root`` is no folder, or holds neither for one of them.
    """
    _check_root(root)
    images, missing = _images(root)
    if missing:
        raise _missing(root, missing)
    return images


def find_split(root: Path) -> Path:
    """Karpathy's split file under ``root``.

    Raises:
        DataError: There is none.
    """
    _check_root(root)
    found = split_file(root)
    if found is None:
        raise _missing(root, [" or ".join(SPLIT_NAMES)])
    return found


def images_of(root: Path, folder: str) -> Path | None:
    """The folder or archive that holds the images of one of :data:`IMAGE_FOLDERS`, if any does."""
    folders = (root / "images" / folder, root / folder)
    archives = (root / "images" / f"{folder}.zip", root / f"{folder}.zip")
    candidates = [
        *(path for path in folders if os.path.isdir(path)),
        *(path for path in archives if os.path.isfile(path)),
    ]
    return candidates[0] if candidates else None


def split_file(root: Path) -> Path | None:
    """Karpathy's split file under ``root``, if there is one."""
    return next((root / name for name in SPLIT_NAMES if os.path.isfile(root / name)), None)


def hashnet_list(root: Path, split: str) -> Path | None:
    """HashNet's list of ``train``, ``test`` or ``database`` under ``root``, if it is there."""
    paths = (root / HASHNET_FOLDER / name for name in HASHNET_LISTS[split])
    return next((path for path in paths if os.path.isfile(path)), None)


def is_safe_name(name: str) -> bool:
    """Test whether ``name`` is one plain, visible path component on every platform.

    COCO's file names hold no separator, so anything that could lead out of the image folder
    (absolute, ``..``, a backslash, a drive), a hidden name, or a character that does not print
    (NUL, line breaks, lone surrogates) is unsafe.
    """
    return name.isprintable() and _SAFE_NAME.fullmatch(name) is not None


def split_file_name(file_name: str) -> tuple[str, str]:
    """``val2014/COCO_val2014_000000000139.jpg`` as its folder and its name.

    Raises:
        DataError: The folder is not one of :data:`IMAGE_FOLDERS`, or the name is not safe.
    """
    folder, _, name = file_name.partition("/")
    if folder not in IMAGE_FOLDERS or not is_safe_name(name):
        raise DataError(
            f"image file name {file_name!r} is not {' or '.join(IMAGE_FOLDERS)} plus '/' plus a "
            "plain file name",
            "build the index again from the official annotations",
        )
    return folder, name


def _check_root(root: Path) -> None:
    if not os.path.isdir(root):
        raise DataError(
            f"{root}: no such folder",
            "set runtime.coco_root to the folder that holds images/ and annotations/, or make one: "
            "`smhash download coco2014 --root FOLDER`",
        )


def _images(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the image folders; returns those found, and one line per missing folder."""
    found: dict[str, Path] = {}
    missing: list[str] = []
    for folder in IMAGE_FOLDERS:
        path = images_of(root, folder)
        if path is not None:
            found[folder] = path
        else:
            missing.append(f"images/{folder}/ or images/{folder}.zip or {folder}.zip")
    return found, missing


def _missing(root: Path, missing: list[str]) -> DataError:
    """The error about pieces that are not there."""
    remedies = [f"{FETCH}; or by hand"]
    if any(".zip" in line for line in missing):
        remedies.append(
            "images: train2014.zip and val2014.zip from https://cocodataset.org/#download, put "
            "under images/ as they are (no need to unpack)"
        )
    if any(line.startswith("annotations/") for line in missing):
        remedies.append(
            "annotations: annotations_trainval2014.zip from the same page, unpacked in the root"
        )
    if any(SPLIT_NAMES[0] in line for line in missing):
        remedies.append(
            "split: dataset_coco.json from caption_datasets.zip, "
            "https://cs.stanford.edu/people/karpathy/deepimagesent/"
        )
    listed = "".join(f"\n     {line}" for line in missing)
    return DataError(f"{root}: {len(missing)} piece(s) missing:{listed}", "; ".join(remedies))
