"""The standard protocol: train2014 trains, val2014 is the test split.

The one of the multi-label tables (ML-GCN, ASL, Query2Label, ML-Decoder). Those papers select on
val2014 itself; here val is a seeded slice of train2014, which then does not train, so that test is
read for the report only. The database is what trains.
"""

from collections.abc import Sequence

from siglip2_multimodal_hash.datasets.protocols.held_out import choose_val, val_size
from siglip2_multimodal_hash.datasets.protocols.source_images import SourceImage
from siglip2_multimodal_hash.datasets.split_file import SplitImage

_TRAIN2014, _VAL2014 = 82_783, 40_504


def standard_split(
    images: Sequence[SourceImage], val_images: int, seed: int
) -> tuple[SplitImage, ...]:
    """Distribute the images of both folders.

    Args:
        images: Of the whole source.
        val_images: Size of the slice of train2014; see :func:`.held_out.choose_val`.
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
    val = val_size(_TRAIN2014, val_images)
    return {"train": _TRAIN2014 - val, "val": val, "test": _VAL2014}
