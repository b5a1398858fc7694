"""The protocol of the deep-hashing tables: HashNet's published lists (Cao et al., ICCV 2017).

5,000 queries are test; every other image with a label, 117,218 of them, is the database; 10,000 of
the database train. Images without a label are in none of the three.

The paper has no validation split. Here it is a seeded slice of the database outside the training
images: the queries of test find it in the database, as published; while its own images are the
queries they are taken out, or each would find itself.

The lists are ``pytorch/data/coco/{train,test,database}.txt`` of github.com/thuml/HashNet, put into
``hashnet/`` under the root: a line is ``PATH LABEL LABEL ...``. The labels there are not read: all
labels come from the annotations. ``database.txt`` may be missing; where it is there, it must name
the database that follows from the other two.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from siglip2_multimodal_hash.datasets.protocols.held_out import choose_val, val_size
from siglip2_multimodal_hash.datasets.protocols.source_images import SourceImage
from siglip2_multimodal_hash.datasets.records import first_duplicate
from siglip2_multimodal_hash.datasets.split_file import SplitImage
from siglip2_multimodal_hash.errors import DataError

LIST_FOLDER = "hashnet"
LIST_FILES = {name: (f"{name}.txt", f"{name}_images.txt") for name in ("train", "test", "database")}
_OPTIONAL = "database"
_TRAIN, _TEST, _DATABASE = 10_000, 5_000, 117_218

_LINE = re.compile(r"(?:\S*/)?((?:train|val)2014/[^\s/]+)(?:\s+[01])*")
_FETCH = (
    "`smhash download coco2014 --hashnet` fetches the lists (pytorch/data/coco/*.txt of "
    f"github.com/thuml/HashNet) into {LIST_FOLDER}/ under the root"
)


def find_list(root: Path, name: str) -> Path | None:
    """The file of a list (``train``, ``test`` or ``database``) under ``root``, if it is there."""
    paths = (root / LIST_FOLDER / file for file in LIST_FILES[name])
    return next((path for path in paths if path.is_file()), None)


def read_lists(root: Path) -> dict[str, tuple[str, ...]]:
    """The file names (``val2014/COCO_val2014_000000477705.jpg``) in each list that is there.

    Raises:
        DataError: The list of train or test is missing, a line is not of the form, a name occurs
            twice, or an image is in both.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, files in LIST_FILES.items():
        path = find_list(root, name)
        if path is not None:
            found[name] = read_list(path)
        elif name != _OPTIONAL:
            missing = root / LIST_FOLDER / files[0]
            raise DataError(
                f"dataset.protocol = hashnet: {missing} (or {files[1]}) is missing", _FETCH
            )
    for name, other in (("train", "test"), ("database", "test")):
        shared = sorted(set(found.get(name, ())) & set(found[other]))
        if shared:
            raise DataError(
                f"{root / LIST_FOLDER}: {len(shared)} image(s) are in the lists of both {name} and "
                f"{other}, the first: {shared[0]}",
                _FETCH,
            )
    return found


def hashnet_split(
    images: Sequence[SourceImage], root: Path, val_images: int, seed: int
) -> tuple[SplitImage, ...]:
    """Distribute the images by the lists under ``root``; what the source lacks is left out.

    Args:
        images: Of the whole source.
        root: The folder that holds ``hashnet/``.
        val_images: Size of the slice of the database; see :func:`.held_out.choose_val`.
        seed: Of the slice.

    Raises:
        DataError: See :func:`read_lists`; or ``database.txt`` names another database.
    """
    lists = read_lists(root)
    train, test = set(lists["train"]), set(lists["test"])
    names = {image: f"{image.filepath}/{image.filename}" for image in images}
    rest = [
        image
        for image, name in names.items()
        if image.labelled and name not in train and name not in test
    ]
    if "database" in lists:
        database = {names[image] for image in rest} | (train & set(names.values()))
        _check_database(root, database, set(lists["database"]) & set(names.values()))
    val = choose_val((image.cocoid for image in rest), val_images, seed)
    split_of = {image: "database_val" if image.cocoid in val else "database" for image in rest}
    for image, name in names.items():
        if name in train or name in test:
            split_of[image] = "train" if name in train else "test"
    return tuple(
        SplitImage(image.cocoid, image.filepath, image.filename, split_of[image])
        for image in images
        if image in split_of
    )


def full_hashnet(val_images: int) -> dict[str, int]:
    """The counts on the whole of COCO 2014."""
    rest = _DATABASE - _TRAIN
    val = val_size(rest, val_images)
    return {"train": _TRAIN, "database": rest - val, "database_val": val, "test": _TEST}


def read_list(path: Path) -> tuple[str, ...]:
    """The file names in one list, in its order.

    Raises:
        DataError: It cannot be read, a line is not of the form, or a name occurs twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})", _FETCH) from None
    names: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise DataError(
                f"{path}: line {number}, {line[:80]!r}, is not a path below train2014/ or val2014/ "
                "with labels of 0 and 1 behind it",
                _FETCH,
            )
        names.append(match[1])
    duplicate = first_duplicate(names)
    if duplicate is not None:
        raise DataError(f"{path}: {duplicate} occurs more than once", _FETCH)
    return tuple(names)


def _check_database(root: Path, derived: set[str], listed: set[str]) -> None:
    differing = sorted(derived ^ listed)
    if differing:
        where = "is not in the list" if differing[0] in derived else "has no label, or is not known"
        raise DataError(
            f"{root / LIST_FOLDER}: the list of the database and the labelled images that are no "
            f"query differ in {len(differing)} image(s), the first: {differing[0]}, which {where}",
            "the lists and the annotations are not of one release: fetch both again",
        )
