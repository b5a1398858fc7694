"""What COCO 2014 consists of, where its pieces lie under a root, and what is published of them.

Sizes and digests of the official archives: TensorFlow Datasets,
``url_checksums/coco_captions.txt``; those of images and annotations also in TorchVision's prototype
of COCO.
"""

from dataclasses import dataclass
from pathlib import Path

from siglip2_multimodal_hash.datasets.acquisition.digests import Known
from siglip2_multimodal_hash.datasets.layout import ANNOTATION_NAMES, images_of, split_file
from siglip2_multimodal_hash.params import DownloadParams

_IMAGES = "http://images.cocodataset.org"
_KARPATHY = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"

PUBLISHED = {
    known.url: known
    for known in (
        Known(
            13_510_573_713,
            "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
            f"{_IMAGES}/zips/train2014.zip",
        ),
        Known(
            6_645_013_297,
            "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
            f"{_IMAGES}/zips/val2014.zip",
        ),
        Known(
            252_872_794,
            "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
            f"{_IMAGES}/annotations/annotations_trainval2014.zip",
        ),
        Known(
            36_745_453,
            "4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
            _KARPATHY,
        ),
    )
}


@dataclass(frozen=True)
class Piece:
    """One thing to fetch.

    Args:
        key: Its address under ``runtime.download``.
        path: Where the file as it is downloaded lies under the root.
        folder: For an archive of images, read in place: the folder of its members.
        members: For an archive that is unpacked: its members, and so the paths under the root.
        unpacked: What the members need on the disk, about, in bytes.
        listed: For a file in a folder of the address: its name there.
    """

    key: str
    path: str
    folder: str = ""
    members: tuple[str, ...] = ()
    unpacked: int = 0
    listed: str = ""

    def address(self, download: DownloadParams) -> str:
        """The URL or the local path that the piece comes from."""
        base = str(getattr(download, self.key))
        return f"{base.rstrip('/')}/{self.listed}" if self.listed else base

    def is_here(self, root: Path) -> bool:
        """Whether the piece is under ``root`` in any form that :mod:`..layout` knows."""
        if self.folder:
            return images_of(root, self.folder) is not None
        if self == SPLIT:
            return split_file(root) is not None
        return all((root / name).is_file() for name in self.members or (self.path,))


ANNOTATIONS = Piece(
    "annotations",
    "annotations_trainval2014.zip",
    members=ANNOTATION_NAMES,
    unpacked=600_000_000,
)
SPLIT = Piece(
    "karpathy_split",
    "caption_datasets.zip",
    members=("dataset_coco.json",),
    unpacked=145_000_000,
)
IMAGES = (
    Piece("train_images", "images/train2014.zip", folder="train2014"),
    Piece("val_images", "images/val2014.zip", folder="val2014"),
)
# The small ones first: what is wrong with an address or a folder shows before the hours of images.
COCO = (SPLIT, ANNOTATIONS, *IMAGES)
HASHNET = tuple(
    Piece("hashnet_lists", f"hashnet/{name}", listed=name)
    for name in ("train.txt", "test.txt", "database.txt")
)
