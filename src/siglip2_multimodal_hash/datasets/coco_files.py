"""One annotation file of COCO, checked and then read by pycocotools.

pycocotools indexes what it is given: of two records with one id it silently keeps the later, and
an annotation of an image that is not there stays unnoticed. So every rule is checked first.
"""

import contextlib
import io
import math
from pathlib import Path

from pycocotools.coco import COCO

from siglip2_multimodal_hash.datasets.layout import is_safe_name
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
_FETCH = "the file is damaged or was edited: fetch annotations_trainval2014.zip again"


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
                _FETCH,
            )
        _check_area(path, record)
    return _indexed(content)


def read_captions(path: Path) -> COCO:
    """``captions_*.json``: images and their captions, at least one each.

    Raises:
        DataError: The file is damaged or breaks a rule; the message names it, the id and the value.
    """
    content = read_records(path, (*_SECTIONS, *_IMAGE_FIELDS, "image_id", "caption"))
    # No categories here: pycocotools would look for a category in each caption.
    content.pop("categories", None)
    image_ids = _check_images(path, section(path, content, "images"))
    captions = section(path, content, "annotations")
    captioned = _check_annotations(path, captions, image_ids, "caption")
    for record, text in zip(
        captions, column(path, "annotations", captions, "caption", str), strict=True
    ):
        if not text.strip():
            raise DataError(
                f"{path}: caption id {record['id']} of image id {record['image_id']} is empty",
                _FETCH,
            )
    bare = sorted(image_ids - captioned)
    if bare:
        raise DataError(
            f"{path}: {len(bare)} image(s) without a caption, the first: "
            f"{', '.join(f'image id {image_id}' for image_id in bare[:5])}",
            _FETCH,
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
                "a file name must not lead out of the image folder: " + _FETCH,
            )
    _refuse_duplicate(path, "file_name", names)
    for key in ("width", "height"):
        for image_id, size in zip(ids, column(path, "images", images, key, int), strict=True):
            if not 0 < size <= _INT32_MAX:
                raise DataError(
                    f"{path}: image id {image_id}: {key} = {size} is not a positive size", _FETCH
                )
    return set(ids)


def _check_categories(path: Path, categories: list[Record]) -> set[int]:
    ids = column(path, "categories", categories, "id", int)
    names = column(path, "categories", categories, "name", str)
    _refuse_duplicate(path, "category id", ids)
    _refuse_duplicate(path, "category name", names)
    if not ids or not all(name.strip() for name in names):
        raise DataError(f"{path}: categories is empty or holds an empty name", _FETCH)
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
                _FETCH,
            )
    return set(owners)


def _check_area(path: Path, record: Record) -> None:
    area = record.get("area")
    # `type`, not `isinstance`: true and false are no sizes.
    if area is None or (type(area) in (int, float) and 0 <= area < math.inf):
        return
    raise DataError(f"{path}: annotation id {record['id']}: area = {area!r:.80} is no area", _FETCH)


def _refuse_duplicate(path: Path, what: str, values: list[int] | list[str]) -> None:
    duplicate = first_duplicate(values)
    if duplicate is not None:
        raise DataError(f"{path}: {what} {duplicate!r} occurs more than once", _FETCH)


def _indexed(content: Record) -> COCO:
    coco = COCO()
    coco.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco
