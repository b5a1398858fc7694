"""Captions and labels from COCO's JSON, all of its files together, as plain arrays.

The labels are the categories of COCO's objects (Lin et al., ECCV 2014), the captions those of COCO
Captions (Chen et al., 2015).

Each annotation file is checked and then read by pycocotools, which indexes what it is given: of two
records with one id it silently keeps the later, and an annotation of an image that is not there
stays unnoticed. So every rule is checked first.
"""

import contextlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO

from siglip2_multimodal_hash.datasets.layout import CocoLayout, is_safe_name
from siglip2_multimodal_hash.datasets.object_sizes import ObjectSizes
from siglip2_multimodal_hash.datasets.records import (
    Record,
    column,
    first_duplicate,
    read_records,
    section,
)
from siglip2_multimodal_hash.errors import DataError

_IMAGE_FIELDS = ("id", "file_name", "width", "height")
_LABEL_FIELDS = ("image_id", "category_id", "iscrowd", "name", "area")
_SECTIONS = ("images", "annotations", "categories")
_INT32_MAX = 2**31 - 1
_EDITED = "the file is damaged or was edited: fetch the annotations again"
_MIXED = "the files are not of one release: fetch the annotations again"


@dataclass(frozen=True, eq=False)
class Annotations:
    """N images in ascending image id; C categories in ascending category id.

    Attributes:
        image_ids: int64 [N].
        file_names: N names under ``images/``, e.g. ``val2014/COCO_val2014_000000000139.jpg``.
        widths: int32 [N], pixels.
        heights: int32 [N], pixels.
        captions: N tuples of captions, in ascending caption id, as stored; COCO has one at least.
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


def read_annotations(layout: CocoLayout, *, captioned: bool = True) -> Annotations:
    """Read and check the annotation files.

    The order of the records in the files has no effect. Peak memory on the whole of COCO 2014:
    about 1.1 GB, most of it the text of ``instances_train2014.json``.

    Args:
        layout: Where they lie.
        captioned: Whether each image must have a caption.

    Raises:
        DataError: A file is damaged or breaks a rule, or two files
            contradict each other; the message names the files and the id.
    """
    parts = {
        path: _read_folder(folder, path, layout.captions.get(folder), captioned=captioned)
        for folder, path in sorted(layout.instances.items())
    }
    for (first_file, first), (second_file, second) in combinations(parts.items(), 2):
        if _categories(first) != _categories(second):
            raise DataError(
                f"{first_file} and {second_file} differ in their categories: "
                f"{_difference(_categories(first), _categories(second))}",
                _MIXED,
            )
        shared = np.intersect1d(first.image_ids, second.image_ids)
        if shared.size:
            raise DataError(
                f"{first_file} and {second_file} both hold {shared.size} image id(s), "
                f"the first: {shared[0]}",
                _MIXED,
            )
    return reduce(_sorted, parts.values())


def _read_folder(
    folder: str, instances_file: Path, captions_file: Path | None, *, captioned: bool
) -> Annotations:
    """The images of one file, in ascending image id."""
    instances = read_instances(instances_file)
    of_image: Mapping[int, list[Record]] = {}
    if captions_file is not None:
        captions = read_captions(captions_file, captioned=captioned)
        _check_same_images(instances, instances_file, captions, captions_file)
        of_image = captions.imgToAnns
    image_ids = np.array(sorted(instances.imgs), dtype=np.int64)
    category_ids = sorted(instances.getCatIds())
    labels = np.zeros((len(image_ids), len(category_ids)), dtype=np.uint8)
    for position, category_id in enumerate(category_ids):
        labelled = np.array(instances.catToImgs.get(category_id, []), dtype=np.int64)
        labels[np.searchsorted(image_ids, labelled), position] = 1
    images = [instances.imgs[image_id] for image_id in image_ids.tolist()]
    return Annotations(
        image_ids=image_ids,
        file_names=tuple(f"{folder}/{image['file_name']}" for image in images),
        widths=np.array([image["width"] for image in images], dtype=np.int32),
        heights=np.array([image["height"] for image in images], dtype=np.int32),
        captions=tuple(
            tuple(
                record["caption"]
                for record in sorted(of_image.get(image["id"], []), key=lambda one: one["id"])
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
            _MIXED,
        )
    for image_id, image in instances.imgs.items():
        other = captions.imgs[image_id]["file_name"]
        if image["file_name"] != other:
            raise DataError(
                f"image id {image_id}: file_name is {image['file_name']!r} in {instances_file} "
                f"and {other!r} in {captions_file}",
                _MIXED,
            )


def _categories(part: Annotations) -> dict[int, str]:
    return dict(zip(part.category_ids, part.category_names, strict=True))


def _difference(left: dict[int, str], right: dict[int, str]) -> str:
    differing = min(left.items() ^ right.items())[0]
    return f"category id {differing} is {left.get(differing)!r} and {right.get(differing)!r}"


def _sorted(first: Annotations, second: Annotations) -> Annotations:
    """Both files together, in ascending image id."""
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


def read_instances(path: Path) -> COCO:
    """``instances_*.json``: images, categories, and which category is on which image.

    Crowd annotations (``iscrowd`` 1: one outline around many) and image-level entries (without a
    box) count like any other; outlines and boxes are not kept. An ``area`` may be missing, as it is
    of an image-level entry.

    Raises:
        DataError: The file is damaged or breaks a rule; the message names it, the id and the value.
    """
    content = read_records(path, (*_SECTIONS, *_IMAGE_FIELDS, *_LABEL_FIELDS))
    image_ids = _check_images(path, section(path, content, "images"))
    category_ids = _check_categories(path, section(path, content, "categories"))
    annotations = section(path, content, "annotations")
    _check_annotations(path, annotations, image_ids, "annotation")
    for record, category_id in zip(
        annotations, column(path, "annotations", annotations, "category_id", int), strict=True
    ):
        if category_id not in category_ids:
            raise DataError(
                f"{path}: annotation id {record['id']}: category_id {category_id} is not among "
                f"the {len(category_ids)} categories of the file",
                _EDITED,
            )
        _check_area(path, record)
    return _indexed(content)


def read_captions(path: Path, *, captioned: bool = True) -> COCO:
    """``captions_*.json``: images and their captions, at least one each where ``captioned``.

    Raises:
        DataError: The file is damaged or breaks a rule; the message names it, the id and the value.
    """
    content = read_records(path, (*_SECTIONS, *_IMAGE_FIELDS, "image_id", "caption"))
    # No categories here: pycocotools would look for a category in each caption.
    content.pop("categories", None)
    image_ids = _check_images(path, section(path, content, "images"))
    captions = section(path, content, "annotations")
    with_any = _check_annotations(path, captions, image_ids, "caption")
    for record, text in zip(
        captions, column(path, "annotations", captions, "caption", str), strict=True
    ):
        if not text.strip():
            raise DataError(
                f"{path}: caption id {record['id']} of image id {record['image_id']} is empty",
                _EDITED,
            )
    bare = sorted(image_ids - with_any)
    if bare and captioned:
        raise DataError(
            f"{path}: {len(bare)} image(s) without a caption, the first: "
            f"{', '.join(f'image id {image_id}' for image_id in bare[:5])}",
            _EDITED,
        )
    return _indexed(content)


def _check_images(path: Path, images: list[Record]) -> set[int]:
    """The image ids, once ids, names and sizes are in order."""
    ids = column(path, "images", images, "id", int)
    names = column(path, "images", images, "file_name", str)
    _refuse_duplicate(path, "image id", ids)
    for image_id, name in zip(ids, names, strict=True):
        if not is_safe_name(name):
            raise DataError(
                f"{path}: image id {image_id}: file_name {name!r} is not a plain file name",
                "a file name must not lead out of the image folder: " + _EDITED,
            )
    _refuse_duplicate(path, "file_name", names)
    for key in ("width", "height"):
        for image_id, size in zip(ids, column(path, "images", images, key, int), strict=True):
            if not 0 < size <= _INT32_MAX:
                raise DataError(
                    f"{path}: image id {image_id}: {key} = {size} is not a positive size", _EDITED
                )
    return set(ids)


def _check_categories(path: Path, categories: list[Record]) -> set[int]:
    ids = column(path, "categories", categories, "id", int)
    names = column(path, "categories", categories, "name", str)
    _refuse_duplicate(path, "category id", ids)
    _refuse_duplicate(path, "category name", names)
    if not ids or not all(name.strip() for name in names):
        raise DataError(f"{path}: categories is empty or holds an empty name", _EDITED)
    return set(ids)


def _check_annotations(
    path: Path, annotations: list[Record], image_ids: set[int], kind: str
) -> set[int]:
    """The ids of the images that the annotations are about, once their ids are in order."""
    ids = column(path, "annotations", annotations, "id", int)
    owners = column(path, "annotations", annotations, "image_id", int)
    _refuse_duplicate(path, f"{kind} id", ids)
    for annotation_id, image_id in zip(ids, owners, strict=True):
        if image_id not in image_ids:
            raise DataError(
                f"{path}: {kind} id {annotation_id} is about image id {image_id}, "
                "which is not among the images of the file",
                _EDITED,
            )
    return set(owners)


def _check_area(path: Path, record: Record) -> None:
    area = record.get("area")
    # `type`, not `isinstance`: true and false are no sizes.
    if area is None or (type(area) in (int, float) and 0 <= area < math.inf):
        return
    raise DataError(
        f"{path}: annotation id {record['id']}: area = {area!r:.80} is no area", _EDITED
    )


def _refuse_duplicate(path: Path, what: str, values: list[int] | list[str]) -> None:
    duplicate = first_duplicate(values)
    if duplicate is not None:
        raise DataError(f"{path}: {what} {duplicate!r} occurs more than once", _EDITED)


def _indexed(content: Record) -> COCO:
    coco = COCO()
    coco.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco
