"""Metadata of a folder of imported features, and the digest that names it.

``meta.json`` holds the SHA-256 of every array; its own SHA-256 is that of the whole content. It is
the folder's name and, as ``backbone.revision``, what DVC declares.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.datasets.items import DatasetItems
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.files import file_sha256
from siglip2_multimodal_hash.params import IMPORTED

IMAGE_IDS = "image_ids.npy"
ARRAYS = (store.IMAGE, store.CAPTION, store.OFFSETS, store.PROMPT)
FILES = (*ARRAYS, IMAGE_IDS)


def describe_import(items: DatasetItems, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The content of ``meta.json``.

    Args:
        items: The dataset that the rows belong to.
        folder: With all arrays in it.
        facts: Widths and types of the features.
    """
    return {
        "checkpoint": IMPORTED,
        "dtype": "float32",
        "images": len(items.frame),
        "captions": int(items.caption_offsets()[-1]),
        "classes": len(items.category_names),
        "dataset_sha256": dataset_sha256(items),
        "files": {name: file_sha256(folder / name) for name in FILES if (folder / name).is_file()},
        **facts,
    }


def dataset_sha256(items: DatasetItems) -> str:
    """Digest, equal exactly for indexes that share their features: images, texts, classes.

    Splits and labels are not in it: they do not change what an image looks like.
    """
    frame = items.frame
    digest = hashlib.sha256()
    for name in ("image_id", "file_name", "width", "height"):
        _add(digest, frame[name].tolist())
    for texts in frame["captions"]:
        _add(digest, list(texts))
    _add(digest, list(items.category_names))
    return digest.hexdigest()


def _add(digest: Any, values: Iterable[Any]) -> None:
    digest.update(json.dumps(values).encode() + b"\n")
