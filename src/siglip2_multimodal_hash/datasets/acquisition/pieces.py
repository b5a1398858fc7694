"""The pieces that COCO 2014 comes in: where each belongs, and whether it is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from siglip2_multimodal_hash.datasets.acquisition.digests import Known
from siglip2_multimodal_hash.datasets.layout import (
    ANNOTATION_NAMES,
    IMAGE_FOLDERS,
    images_of,
    split_file,
)
from siglip2_multimodal_hash.datasets.protocols.hashnet import LIST_FILES, LIST_FOLDER, find_list
from siglip2_multimodal_hash.params import DownloadParams

SPLIT_MEMBER = "dataset_coco.json"
_ANNOTATIONS = "annotations_trainval2014.zip"
_SPLIT = "caption_datasets.zip"

OFFICIAL = {
    known.url: known
    for known in (
        Known(
            13_510_573_713,
            "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
            "http://images.cocodataset.org/zips/train2014.zip",
        ),
        Known(
            6_645_013_297,
            "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
            "http://images.cocodataset.org/zips/val2014.zip",
        ),
        Known(
            252_872_794,
            "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
            "http://images.cocodataset.org/annotations/annotations_trainval2014.zip",
        ),
        Known(
            36_745_453,
            "4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
            "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",
        ),
    )
}
"""Sizes and digests of the official archives, by address. Neither site publishes any; these are
the ones that libraries of datasets compare with (SHA-256 in torchvision's prototype datasets and
in the COCO recipe of MLCommons Croissant, the split's in reproductions of Karpathy's)."""


@dataclass(frozen=True)
class Piece:
    """One thing to fetch.

    Attributes:
        source: Its address, or the path of a copy.
        target: The file that a download makes, relative to the root.
        members: For an archive that is unpacked: where each member goes, relative to the root.
        image_folder: For an archive of images, which stays as it is: the folder inside it.
        unpacked: What the members of the official archive measure, about, in bytes.
    """

    source: str
    target: str
    members: Mapping[str, str] = field(default_factory=dict)
    image_folder: str | None = None
    unpacked: int = 0

    @property
    def official(self) -> Known | None:
        """What is published of it."""
        return OFFICIAL.get(self.source)


def missing_pieces(root: Path, download: DownloadParams, *, hashnet: bool) -> list[Piece]:
    """What is not under ``root`` yet; a folder of images is as good as their archive.

    Args:
        root: The folder that has, or is to have, the layout of :mod:`..layout`.
        download: Where each piece comes from.
        hashnet: Ask for HashNet's lists too.
    """
    images = dict(zip(IMAGE_FOLDERS, (download.train_images, download.val_images), strict=True))
    pieces = [
        Piece(source, f"images/{folder}.zip", image_folder=folder)
        for folder, source in images.items()
        if images_of(root, folder) is None
    ]
    if members := {name: name for name in ANNOTATION_NAMES if not (root / name).is_file()}:
        pieces.append(Piece(download.annotations, _ANNOTATIONS, members, unpacked=600_000_000))
    if split_file(root) is None:
        members = {SPLIT_MEMBER: SPLIT_MEMBER}
        pieces.append(Piece(download.karpathy_split, _SPLIT, members, unpacked=145_000_000))
    if hashnet:
        pieces += [
            Piece(f"{download.hashnet_lists.rstrip('/')}/{names[0]}", f"{LIST_FOLDER}/{names[0]}")
            for name, names in LIST_FILES.items()
            if find_list(root, name) is None
        ]
    return pieces


def local_path(source: str) -> Path | None:
    """The path that a source means, unless it is an address on the network."""
    if source.startswith("file://"):
        return Path(url2pathname(urlsplit(source).path))
    return Path(source) if Path(source).is_absolute() else None
