"""The images of a source as its annotations name them: what a protocol distributes."""

from typing import NamedTuple

from siglip2_multimodal_hash.datasets.coco_files import read_instances
from siglip2_multimodal_hash.datasets.layout import IMAGE_FOLDERS, CocoLayout


class SourceImage(NamedTuple):
    """One image; ``labelled``: whether any of the categories is on it."""

    cocoid: int
    filepath: str
    filename: str
    labelled: bool


def read_source_images(layout: CocoLayout) -> tuple[SourceImage, ...]:
    """The images of train2014 and val2014, in ascending cocoid.

    Raises:
        DataError: An instances file is damaged or breaks a rule; see :mod:`.coco_files`.
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
