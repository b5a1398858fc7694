"""Protocols: the distribution of COCO's images to splits, checked against the published counts.

``karpathy``
    Karpathy and Fei-Fei's split (``dataset_coco.json`` in caption_datasets.zip, CVPR 2015). The
    30,504 images of val2014 that are in neither val nor test are ``restval`` and belong to
    training: 113,287 / 5,000 / 5,000. The database is what trains.
``standard``
    The one of the multi-label tables (ML-GCN, ASL, Query2Label, ML-Decoder): train2014 trains,
    val2014 is the test split. Those papers select on val2014 itself; here val is a seeded slice of
    train2014, which then does not train, so that test is read for the report only. The database is
    what trains.
``hashnet``
    The one of the deep-hashing tables, by HashNet's lists: 5,000 queries are test; every other
    image with a label, 117,218 of them, is the database; 10,000 of the database train. Images
    without a label are in none of the three. The paper has no validation split. Here it is a seeded
    slice of the database outside the training images: the queries of test find it in the database,
    as published; while its own images are the queries they are taken out, or each would find
    itself.

Other datasets bring a split of their own, or get a seeded one: :func:`own_split`.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.annotations import read_instances
from siglip2_multimodal_hash.datasets.hashnet_lists import read_lists
from siglip2_multimodal_hash.datasets.index import NEEDED, ROWS_OF, SPLITS, count_splits
from siglip2_multimodal_hash.datasets.layout import (
    HASHNET_FOLDER,
    IMAGE_FOLDERS,
    OFFICIAL_COUNTS,
    CocoLayout,
    find_layout,
    find_split,
)
from siglip2_multimodal_hash.datasets.split_file import (
    SplitImage,
    missing_splits,
    read_split,
    write_split,
)
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import SplitProtocol

KARPATHY_SPLITS = ("train", "restval", "val", "test")
FULL_KARPATHY = {"train": 82_783, "restval": 30_504, "val": 5_000, "test": 5_000}
_HASHNET_TRAIN, _HASHNET_TEST, _HASHNET_DATABASE = 10_000, 5_000, 117_218
# A validation slice takes no more than a fifth of what it is cut from.
LARGEST_SHARE = 5

_DATABASE = ("train", "restval", "database", "database_val")
_FETCH_SPLIT = (
    "fetch dataset_coco.json again: caption_datasets.zip, "
    "https://cs.stanford.edu/people/karpathy/deepimagesent/"
)


@dataclass(frozen=True)
class SplitCounts:
    """Image counts of the splits.

    Attributes:
        found: The number of images by split, splits without any left out.
        expected: The same on the whole of COCO 2014; empty for another dataset.
    """

    found: Mapping[str, int]
    expected: Mapping[str, int]

    def line(self) -> str:
        """Counts as a line of text, with those of the whole of COCO where they differ."""
        parts = [
            f"{split} {_of(self.found.get(split, 0), self.expected.get(split))}"
            for split in SPLITS
            if split in self.found or split in self.expected
        ]
        if "database_val" in self.found:
            whole = [
                sum(counts.get(s, 0) for s in _DATABASE) for counts in (self.found, self.expected)
            ]
            parts.append(f"database of test {_of(whole[0], whole[1] or None)}")
        return ", ".join(parts)


def write_protocol_split(
    protocol: SplitProtocol,
    root: Path,
    target: Path,
    *,
    val_images: int,
    seed: int,
    whole_coco: bool,
) -> SplitCounts:
    """Write the split file of a protocol in its normal form.

    Args:
        protocol: ``dataset.protocol``.
        root: The source: its annotations, Karpathy's file or the lists of HashNet.
        target: The split file.
        val_images: Size of the slice that ``standard`` and ``hashnet`` cut as val; Karpathy has
            a val of its own.
        seed: Of that slice.
        whole_coco: Whether the counts are to be compared with those of COCO 2014. A part of it
            passes; a split that holds more than it can, or a whole dataset in other parts, do not.

    Raises:
        DataError: A file is missing or damaged, train, val or test would be empty, or the counts
            are impossible; then nothing is written.
    """
    images, full = _distribute(protocol, root, val_images, seed)
    found = count_splits(image.split for image in images)
    counts = SplitCounts(found, full if whole_coco else {})
    empty = missing_splits(found)
    if empty:
        raise DataError(
            f"{root}: under protocol {protocol} no image is in split {' or '.join(empty)} "
            f"({counts.line()})",
            "complete the dataset, or choose another dataset.protocol",
        )
    if whole_coco:
        _check_counts(protocol, root, counts)
    write_split(target, images)
    return counts


def _distribute(
    protocol: SplitProtocol, root: Path, val_images: int, seed: int
) -> tuple[tuple[SplitImage, ...], Mapping[str, int]]:
    if protocol == "karpathy":
        return read_karpathy_split(find_split(root)), FULL_KARPATHY
    if protocol == "standard":
        images = read_source_images(find_layout(root))
        return standard_split(images, val_images, seed), full_standard(val_images)
    read_lists(root)  # before the annotations, which take long to read
    images = read_source_images(find_layout(root))
    return hashnet_split(images, root, val_images, seed), full_hashnet(val_images)


def read_karpathy_split(path: Path) -> tuple[SplitImage, ...]:
    """Read Karpathy's own file, or its normal form.

    Returns:
        The images in ascending cocoid.

    Raises:
        DataError: See :func:`.split_file.read_split`. ``restval`` may be empty: it only enlarges
            the training split.
    """
    return read_split(path, KARPATHY_SPLITS, _FETCH_SPLIT, IMAGE_FOLDERS)


class SourceImage(NamedTuple):
    """One image; ``labelled``: whether any of the categories is on it."""

    cocoid: int
    filepath: str
    filename: str
    labelled: bool


def read_source_images(layout: CocoLayout) -> tuple[SourceImage, ...]:
    """The images of train2014 and val2014, in ascending cocoid.

    Raises:
        DataError: An instances file is damaged or breaks a rule; see :func:`.read_instances`.
    """
    images: list[SourceImage] = []
    for folder in IMAGE_FOLDERS:
        instances = read_instances(layout.instances[folder])
        labelled = instances.imgToAnns.keys()
        images += [
            SourceImage(cocoid, folder, image["file_name"], cocoid in labelled)
            for cocoid, image in instances.imgs.items()
        ]
    return tuple(sorted(images))


def standard_split(
    images: Sequence[SourceImage], val_images: int, seed: int
) -> tuple[SplitImage, ...]:
    """Distribute the images of both folders.

    Args:
        images: Of the whole source.
        val_images: Size of the slice of train2014; see :func:`choose_val`.
        seed: Of the slice.
    """
    pool = (image.cocoid for image in images if image.filepath == "train2014")
    val = choose_val(pool, val_images, seed)

    def split_of(image: SourceImage) -> str:
        if image.filepath == "val2014":
            return "test"
        return "val" if image.cocoid in val else "train"

    return tuple(
        SplitImage(image.cocoid, image.filepath, image.filename, split_of(image))
        for image in images
    )


def full_standard(val_images: int) -> dict[str, int]:
    """The counts on the whole of COCO 2014."""
    pool = OFFICIAL_COUNTS["train2014"]
    val = val_size(pool, val_images)
    return {"train": pool - val, "val": val, "test": OFFICIAL_COUNTS["val2014"]}


def hashnet_split(
    images: Sequence[SourceImage], root: Path, val_images: int, seed: int
) -> tuple[SplitImage, ...]:
    """Distribute the images by the lists under ``root``; what the source lacks is left out.

    Args:
        images: Of the whole source.
        root: The folder that holds ``hashnet/``.
        val_images: Size of the slice of the database; see :func:`choose_val`.
        seed: Of the slice.

    Raises:
        DataError: See :func:`.hashnet_lists.read_lists`; or ``database.txt`` names another
            database.
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
    rest = _HASHNET_DATABASE - _HASHNET_TRAIN
    val = val_size(rest, val_images)
    return {
        "train": _HASHNET_TRAIN,
        "database": rest - val,
        "database_val": val,
        "test": _HASHNET_TEST,
    }


def own_split(
    images: Sequence[tuple[int, str]], given: Mapping[int, str], seed: int
) -> tuple[SplitImage, ...]:
    """The split of a dataset of one's own: as it says, else 80/10/10.

    An image's rank is a digest of the seed and its file name: it depends on no order.

    Args:
        images: Ids and file names, in ascending id.
        given: The splits of the ids; empty for a seeded split, else ids that it lacks are in none.
        seed: Of the ranks.
    """
    if not given:
        ranked = sorted(images, key=lambda image: _rank(image[1], seed))
        tenth = max(1, len(ranked) // 10)
        given = {
            image_id: "val" if place < tenth else "test" if place < 2 * tenth else "train"
            for place, (image_id, _) in enumerate(ranked)
        }
    named = (
        (image_id, *file_name.rpartition("/")[::2], given[image_id])
        for image_id, file_name in images
        if image_id in given
    )
    return tuple(map(SplitImage._make, named))


def write_own_split(target: Path, images: Sequence[SplitImage]) -> SplitCounts:
    """Write the split file of a dataset of one's own."""
    write_split(target, images)
    return SplitCounts(count_splits(image.split for image in images), {})


def check_own_split(
    root: Path,
    split: Sequence[SplitImage],
    labels: Mapping[int, npt.NDArray[np.uint8]],
    names: Sequence[str],
    remedy: str,
    *,
    listed: bool,
) -> None:
    """Refuse an empty split, a val or test without labels, and a class that cannot be learned.

    Args:
        root: Of the dataset, for messages.
        split: See :func:`own_split`.
        labels: By image id, uint8 [C] each.
        names: Of the C classes.
        remedy: Advice where a rule is broken.
        listed: Whether the classes are listed for their own sake. Then one without a training
            image is no slip of the pen in a row, and only logged.

    Raises:
        DataError: A rule is broken.
    """
    if empty := missing_splits(image.split for image in split):
        raise DataError(f"{root}: no image is in split {' or '.join(empty)}", remedy)
    found = {
        name: np.any([labels[one.cocoid] for one in split if one.split in ROWS_OF[name]], axis=0)
        for name in NEEDED
    }
    for name in ("val", "test"):
        if not found[name].any():
            raise DataError(f"{root}: no image of split {name} has a label", remedy)
    if unseen := [name for name, one in zip(names, found["train"], strict=True) if not one]:
        more = f", nor have {len(unseen) - 1} more" if len(unseen) > 1 else ""
        said = f"{root}: class {unseen[0]!r} has no training image{more}"
        if not listed:
            raise DataError(said, remedy)
        logging.getLogger(__name__).warning(said)


def choose_val(cocoids: Iterable[int], size: int, seed: int) -> frozenset[int]:
    """Choose ``size`` images, but never more than a fifth of those given.

    An image's rank is a digest of the seed and its id: it depends on neither the order nor a
    generator's version, and in a subset of the dataset the same images come first.

    Args:
        cocoids: Ids to choose from.
        size: Number to choose; 5,000 of COCO's are well below a fifth.
        seed: Of the ranks.
    """
    ranked = sorted((_rank(cocoid, seed), cocoid) for cocoid in cocoids)
    return frozenset(cocoid for _, cocoid in ranked[: val_size(len(ranked), size)])


def val_size(available: int, size: int) -> int:
    """The number of images that :func:`choose_val` chooses."""
    return min(size, available // LARGEST_SHARE)


def _check_counts(protocol: SplitProtocol, root: Path, counts: SplitCounts) -> None:
    # Some copies of Karpathy's file name restval train.
    found, expected = _merged(counts.found), _merged(counts.expected)
    whole = sum(found.values()) >= sum(expected.values())
    excess = any(number > expected.get(split, 0) for split, number in found.items())
    if excess or (whole and found != expected):
        raise DataError(
            f"{root}: not the {protocol} split of COCO 2014: {counts.line()}",
            "fetch the annotations and the files of the protocol again",
        )


def _merged(counts: Mapping[str, int]) -> dict[str, int]:
    merged = {split: number for split, number in counts.items() if split != "restval"}
    return merged | {"train": counts.get("train", 0) + counts.get("restval", 0)}


def _of(found: int, expected: int | None) -> str:
    whole = expected is None or found == expected
    return f"{found:,}" if whole else f"{found:,} of {expected:,}"


def _check_database(root: Path, derived: set[str], listed: set[str]) -> None:
    differing = sorted(derived ^ listed)
    if differing:
        where = "is not in the list" if differing[0] in derived else "has no label, or is not known"
        raise DataError(
            f"{root / HASHNET_FOLDER}: the list of the database and the labelled images that are "
            f"no query differ in {len(differing)} image(s), the first: {differing[0]}, which "
            f"{where}",
            "the lists and the annotations are not of one release: fetch both again",
        )


def _rank(image: int | str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {image}".encode()).digest()
