"""Write the split of any protocol, and compare its counts with those of the whole of COCO 2014."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from siglip2_multimodal_hash.datasets.layout import find_layout, find_split
from siglip2_multimodal_hash.datasets.protocols.hashnet import (
    full_hashnet,
    hashnet_split,
    read_lists,
)
from siglip2_multimodal_hash.datasets.protocols.karpathy import FULL_KARPATHY, read_karpathy_split
from siglip2_multimodal_hash.datasets.protocols.source_images import read_source_images
from siglip2_multimodal_hash.datasets.protocols.standard import full_standard, standard_split
from siglip2_multimodal_hash.datasets.split_file import (
    ROWS_OF,
    SPLITS,
    SplitImage,
    count_splits,
    missing_splits,
    write_split,
)
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import SplitProtocol


@dataclass(frozen=True)
class SplitCounts:
    """What a split holds.

    Attributes:
        found: The number of images by split, splits without any left out.
        expected: The same on the whole of COCO 2014; empty for another dataset.
    """

    found: Mapping[str, int]
    expected: Mapping[str, int]

    def line(self) -> str:
        """For a person to read: the counts, with those of the whole of COCO where they differ."""
        parts = [
            f"{split} {_of(self.found.get(split, 0), self.expected.get(split))}"
            for split in SPLITS
            if split in self.found or split in self.expected
        ]
        if "database_val" in self.found:
            whole = [
                sum(counts.get(s, 0) for s in ROWS_OF["database"])
                for counts in (self.found, self.expected)
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
