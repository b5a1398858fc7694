"""Captions and labels of COCO 2014, both years together, as plain arrays."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO

from siglip2_multimodal_hash.datasets.coco_files import read_captions, read_instances
from siglip2_multimodal_hash.datasets.layout import IMAGE_FOLDERS, CocoLayout
from siglip2_multimodal_hash.datasets.object_sizes import ObjectSizes
from siglip2_multimodal_hash.datasets.records import Record
from siglip2_multimodal_hash.errors import DataError

_FETCH = "the files are not of one release: fetch annotations_trainval2014.zip again"


@dataclass(frozen=True, eq=False)
class Annotations:
    """N images in ascending image id; C categories in ascending category id.

    Attributes:
        image_ids: int64 [N].
        file_names: N names under ``images/``, e.g. ``val2014/COCO_val2014_000000000139.jpg``.
        widths: int32 [N], pixels.
        heights: int32 [N], pixels.
        captions: N tuples of at least one caption each, in ascending caption id, as stored.
        labels: uint8 [N, C], multi-hot; a crowd is a label like a single object.
        category_ids: C ids.
        category_names: C names.
        crowds: The number of crowd annotations behind the labels.
        sizes: Of the objects behind the labels, as far as they are known; crowds are no objects.
    """

    image_ids: npt.NDArray[np.int64]
    file_names: tuple[str, ...]
    widths: npt.NDArray[np.int32]
    heights: npt.NDArray[np.int32]
    captions: tuple[tuple[str, ...], ...]
    labels: npt.NDArray[np.uint8]
    category_ids: tuple[int, ...]
    category_names: tuple[str, ...]
    crowds: int
    sizes: ObjectSizes = field(default_factory=ObjectSizes.none)


def read_annotations(layout: CocoLayout) -> Annotations:
    """Read and check the four annotation files.

    The order of the records in the files has no effect. Peak memory on the whole of COCO 2014:
    about 1.1 GB, most of it the text of ``instances_train2014.json``.

    Raises:
        DataError: A file is damaged or breaks a rule of :mod:`.coco_files`, or two files
            contradict each other; the message names the files and the id.
    """
    parts = [
        _read_folder(folder, layout.instances[folder], layout.captions[folder])
        for folder in IMAGE_FOLDERS
    ]
    first, second = parts
    first_file, second_file = (layout.instances[folder] for folder in IMAGE_FOLDERS)
    if _categories(first) != _categories(second):
        raise DataError(
            f"{first_file} and {second_file} differ in their categories: "
            f"{_difference(_categories(first), _categories(second))}",
            _FETCH,
        )
    shared = np.intersect1d(first.image_ids, second.image_ids)
    if shared.size:
        raise DataError(
            f"{first_file} and {second_file} both hold {shared.size} image id(s), "
            f"the first: {shared[0]}",
            _FETCH,
        )
    return _sorted(first, second)


def _read_folder(folder: str, instances_file: Path, captions_file: Path) -> Annotations:
    """One year's images, in ascending image id."""
    instances = read_instances(instances_file)
    captions = read_captions(captions_file)
    _check_same_images(instances, instances_file, captions, captions_file)
    image_ids = np.array(sorted(instances.imgs), dtype=np.int64)
    category_ids = sorted(instances.getCatIds())
    labels = np.zeros((len(image_ids), len(category_ids)), dtype=np.uint8)
    for column, category_id in enumerate(category_ids):
        labelled = np.array(instances.catToImgs.get(category_id, []), dtype=np.int64)
        labels[np.searchsorted(image_ids, labelled), column] = 1
    images = [instances.imgs[image_id] for image_id in image_ids.tolist()]
    return Annotations(
        image_ids=image_ids,
        file_names=tuple(f"{folder}/{image['file_name']}" for image in images),
        widths=np.array([image["width"] for image in images], dtype=np.int32),
        heights=np.array([image["height"] for image in images], dtype=np.int32),
        captions=tuple(
            tuple(
                record["caption"]
                for record in sorted(captions.imgToAnns[image["id"]], key=lambda one: one["id"])
            )
            for image in images
        ),
        labels=labels,
        category_ids=tuple(category_ids),
        category_names=tuple(category["name"] for category in instances.loadCats(category_ids)),
        crowds=sum(record.get("iscrowd") == 1 for record in instances.anns.values()),
        sizes=_sizes(list(instances.anns.values())),
    )


def _sizes(records: list[Record]) -> ObjectSizes:
    """Objects in ascending image id, and annotation id within it."""
    known = [one for one in records if one.get("area") is not None and one.get("iscrowd") != 1]
    known.sort(key=lambda one: (one["image_id"], one["id"]))
    return ObjectSizes(
        np.array([one["image_id"] for one in known], dtype=np.int64),
        np.array([one["category_id"] for one in known], dtype=np.int64),
        np.array([one["area"] for one in known], dtype=np.float64),
    )


def _check_same_images(
    instances: COCO, instances_file: Path, captions: COCO, captions_file: Path
) -> None:
    lonely = sorted(instances.imgs.keys() ^ captions.imgs.keys())
    if lonely:
        where = instances_file if lonely[0] in instances.imgs else captions_file
        raise DataError(
            f"{instances_file} and {captions_file} hold different images: {len(lonely)} are in "
            f"one only, the first: image id {lonely[0]}, in {where.name}",
            _FETCH,
        )
    for image_id, image in instances.imgs.items():
        other = captions.imgs[image_id]["file_name"]
        if image["file_name"] != other:
            raise DataError(
                f"image id {image_id}: file_name is {image['file_name']!r} in {instances_file} "
                f"and {other!r} in {captions_file}",
                _FETCH,
            )


def _categories(part: Annotations) -> dict[int, str]:
    return dict(zip(part.category_ids, part.category_names, strict=True))


def _difference(left: dict[int, str], right: dict[int, str]) -> str:
    differing = min(left.items() ^ right.items())[0]
    return f"category id {differing} is {left.get(differing)!r} and {right.get(differing)!r}"


def _sorted(first: Annotations, second: Annotations) -> Annotations:
    """Both years in one, in ascending image id."""
    image_ids = np.concatenate([first.image_ids, second.image_ids])
    order = np.argsort(image_ids)
    file_names = (*first.file_names, *second.file_names)
    captions = (*first.captions, *second.captions)
    return Annotations(
        image_ids=image_ids[order],
        file_names=tuple(file_names[row] for row in order),
        widths=np.concatenate([first.widths, second.widths])[order],
        heights=np.concatenate([first.heights, second.heights])[order],
        captions=tuple(captions[row] for row in order),
        labels=np.concatenate([first.labels, second.labels])[order],
        category_ids=first.category_ids,
        category_names=first.category_names,
        crowds=first.crowds + second.crowds,
        sizes=_sizes_of_both(first.sizes, second.sizes),
    )


def _sizes_of_both(first: ObjectSizes, second: ObjectSizes) -> ObjectSizes:
    ids = np.concatenate([first.image_ids, second.image_ids])
    order = np.argsort(ids, kind="stable")
    categories = np.concatenate([first.category_ids, second.category_ids])
    areas = np.concatenate([first.areas, second.areas])
    return ObjectSizes(ids[order], categories[order], areas[order])
