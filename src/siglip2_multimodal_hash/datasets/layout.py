"""Where the files of each kind of dataset lie, and the file names that are safe to follow there.

Of COCO 2014, and of mojicoco, which has its form::

    images/train2014/  or  images/train2014.zip  or  train2014/  or  train2014.zip
    images/val2014/    or  images/val2014.zip    or  val2014/    or  val2014.zip
    annotations/{instances,captions}_{train,val}2014.json
    karpathy_split.json  or  dataset_coco.json  (Karpathy's own name)
    hashnet/{train,test,database}.txt  or  hashnet/{train,test,database}_images.txt

The archives are the official ones: their members are ``val2014/COCO_val2014_000000000139.jpg``.

Of ``coco_json`` the same with any name in the place of ``train2014`` and ``val2014``: each
``annotations/instances_NAME.json`` has its images in ``images/NAME``. Captions may be missing. Of
``folder``, images in any folders below the root, and :data:`METADATA_NAMES`.
"""

import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import DatasetKind, RuntimeParams

IMAGE_FOLDERS = ("train2014", "val2014")
OFFICIAL_COUNTS = {"train2014": 82_783, "val2014": 40_504}
"""Images in each folder of the whole of COCO 2014."""
SPLIT_NAMES = ("karpathy_split.json", "dataset_coco.json")
OWN_SPLIT_NAMES = ("split.json", *SPLIT_NAMES)
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SPLIT_FOLDERS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
"""Folders that may have metadata of their own, and the splits that they are."""
CLASSES_FILE = "classes.txt"
ANNOTATION_NAMES = tuple(
    f"annotations/{kind}_{folder}.json"
    for kind in ("captions", "instances")
    for folder in IMAGE_FOLDERS
)
HASHNET_FOLDER = "hashnet"
HASHNET_LISTS = {
    split: (f"{split}.txt", f"{split}_images.txt") for split in ("train", "test", "database")
}
_SET_ROOT = "`smhash use KIND --root FOLDER --name NAME` sets runtime.dataset_root"
FETCH = "`smhash download coco2014` fetches what is missing"

# One path component on every platform: separators, drives and streams (`:`), leading dots (which
# take `.` and `..` with them), and the trailing dots and spaces that Windows drops are all out.
_SAFE_NAME = re.compile(r"[^./\\: ](?:[^/\\:]*[^/\\:. ])?")


@dataclass(frozen=True)
class CocoLayout:
    """Paths of the pieces of one copy of COCO; keys are the folders of images."""

    root: Path
    images: dict[str, Path]
    instances: dict[str, Path]
    captions: dict[str, Path]

    @property
    def annotation_files(self) -> tuple[Path, ...]:
        """The JSON files, in ascending order of their names."""
        return tuple(sorted((*self.captions.values(), *self.instances.values())))


class Layout(NamedTuple):
    """Finders of the files below a root, for one kind of dataset; each may raise ``DataError``."""

    images: Callable[[Path], dict[str, Path]]
    annotations: Callable[[Path], Sequence[Path]]
    splits: Callable[[Path], Sequence[Path]]


def layout_of(kind: DatasetKind) -> Layout:
    """The :class:`Layout` of a kind of dataset.

    Its ``images`` are folders or archives of image files, by the names that come before the last
    ``/`` of an image's; its ``splits`` those of the files to split it by that are there.
    """
    return _LAYOUTS[kind]


def source_root(kind: DatasetKind, folder: Path, runtime: RuntimeParams) -> Path:
    """The folder that holds the images and annotations of a dataset.

    Args:
        kind: ``dataset.kind``.
        folder: Output of the stage ``prepare_dataset``. It holds the files of mojicoco, and of
            other kinds only the manifest: they are read where they lie.
        runtime: ``coco_root`` and ``dataset_root`` are read.
    """
    if kind == "mojicoco":
        return folder
    return Path(runtime.coco_root if kind == "coco2014" else runtime.dataset_root)


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


def find_json_layout(root: Path) -> CocoLayout:
    """Find images and annotations of ``coco_json`` under ``root``.

    Raises:
        DataError: ``root`` is no folder, no instances file is there, or one has no images.
    """
    _require_folder(root, _SET_ROOT)
    annotations = root / "annotations"
    instances = {
        path.stem.removeprefix("instances_"): path for path in annotations.glob("instances_*.json")
    }
    if not instances:
        raise DataError(
            f"{annotations}: no file instances_NAME.json",
            "put annotations/instances_NAME.json, annotations/captions_NAME.json and images/NAME/ "
            "under runtime.dataset_root",
        )
    images = {name: images_of(root, name) for name in sorted(instances)}
    captions = {name: annotations / f"captions_{name}.json" for name in images}
    stray = {p.name for p in annotations.glob("captions_*.json")} - {
        path.name for path in captions.values()
    }
    missing = [f"images/{name}/ or images/{name}.zip" for name in images if images[name] is None]
    missing += [name.replace("captions", "instances", 1) for name in sorted(stray)]
    if missing:
        raise DataError(
            f"{root}: {len(missing)} piece(s) missing: {', '.join(missing)}",
            "the NAME of annotations/instances_NAME.json is that of the folder of its images",
        )
    return CocoLayout(
        root,
        {name: path for name, path in images.items() if path is not None},
        instances,
        {name: path for name, path in captions.items() if os.path.isfile(path)},
    )


def find_metadata(root: Path) -> dict[str, Path]:
    """The metadata of ``folder``, by the folder that its file names start from: ``""`` or a split.

    Raises:
        DataError: ``root`` is no folder, or there is no metadata, or more than one file for a
            folder, or both at the root and below it.
    """
    _require_folder(root, _SET_ROOT)
    found: dict[str, Path] = {}
    for folder in ("", *SPLIT_FOLDERS):
        files = [name for name in METADATA_NAMES if os.path.isfile(root / folder / name)]
        if len(files) > 1 or (files and "" in found):
            names = [path.relative_to(root).as_posix() for path in found.values()]
            raise DataError(
                f"{root}: more than one metadata file: "
                f"{', '.join([*names, *(str(Path(folder, name)) for name in files)])}",
                "leave one at the root, or one in each of train/, validation/ and test/",
            )
        if files:
            found[folder] = root / folder / files[0]
    if not found:
        raise DataError(
            f"{root}: no {', '.join(METADATA_NAMES[:-1])} or {METADATA_NAMES[-1]}, here or in "
            "train/, validation/ and test/",
            "write one with the columns file_name, labels and caption; see docs/own-data.md",
        )
    return found


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


def is_safe_path(name: str) -> bool:
    """Test whether ``name`` is safe names joined by ``/``: a file below a folder."""
    return all(map(is_safe_name, name.split("/")))


def split_file_name(file_name: str, folders: Collection[str] = IMAGE_FOLDERS) -> tuple[str, str]:
    """``val2014/COCO_val2014_000000000139.jpg`` as its folder and its name.

    Raises:
        DataError: The folder is not one of ``folders``, or the name is not safe.
    """
    folder, _, name = file_name.rpartition("/")
    if folder not in folders or not is_safe_name(name):
        raise DataError(
            f"image file name {file_name!r} is not {' or '.join(sorted(folders))} plus '/' plus a "
            "plain file name",
            "build the index again: `dvc repro build_dataset_index`",
        )
    return folder, name


def _check_root(root: Path) -> None:
    _require_folder(
        root,
        "set runtime.coco_root to the folder that holds images/ and annotations/, or make one: "
        "`smhash download coco2014 --root FOLDER`",
    )


def _require_folder(root: Path, remedy: str) -> None:
    if not os.path.isdir(root):
        raise DataError(f"{root}: no such folder", remedy)


def _folders_below(root: Path) -> dict[str, Path]:
    """All folders by their paths from ``root``, itself included; links to folders are no part."""
    _require_folder(root, _SET_ROOT)
    found: dict[str, Path] = {}
    for place, folders, _ in os.walk(root):
        # Hidden folders are desktops' leftovers, and no image has a name that leads into one.
        folders[:] = sorted(filter(is_safe_name, folders))
        path = Path(place)
        found["" if path == root else path.relative_to(root).as_posix()] = path
    return found


def _metadata_files(root: Path) -> list[Path]:
    classes = root / CLASSES_FILE
    return [*find_metadata(root).values(), *([classes] if os.path.isfile(classes) else [])]


def own_split_file(root: Path) -> Path | None:
    """The split file of ``coco_json`` under ``root``, if there is one."""
    return next((root / name for name in OWN_SPLIT_NAMES if os.path.isfile(root / name)), None)


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


def split_files(root: Path) -> list[Path]:
    """Karpathy's split file and HashNet's lists, as far as they are under ``root``."""
    candidates = (split_file(root), *(hashnet_list(root, name) for name in HASHNET_LISTS))
    return sorted(path for path in candidates if path is not None)


_COCO = Layout(find_images, lambda root: find_layout(root).annotation_files, split_files)
_LAYOUTS: dict[DatasetKind, Layout] = {
    "mojicoco": _COCO,
    "coco2014": _COCO,
    "coco_json": Layout(
        lambda root: find_json_layout(root).images,
        lambda root: find_json_layout(root).annotation_files,
        lambda root: [path for path in (own_split_file(root),) if path is not None],
    ),
    "folder": Layout(_folders_below, _metadata_files, lambda _: ()),
}
