"""Imported features in the stage ``embed``: verified, and put into place."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from siglip2_multimodal_hash.arrays import load_array
from siglip2_multimodal_hash.datasets.items import DatasetItems
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.imported.content import ARRAYS, IMAGE_IDS, dataset_sha256
from siglip2_multimodal_hash.files import file_sha256, read_json, replacing

_AGAIN = (
    "run `smhash import-features` again, or `smhash use siglip2-tiny` to go back to the embedded "
    "towers"
)


def adopt_features(items: DatasetItems, revision: str, features: Path, folder: Path) -> None:
    """Link imported features to where ``embed`` writes, or copy them, and check every byte.

    A hard link, where the file system can, costs no room. DVC writes into no output: it deletes
    its name.

    Args:
        items: The dataset, which must be the one that they were imported for.
        revision: ``backbone.revision``, the SHA-256 of their ``meta.json``.
        features: ``runtime.features_folder``.
        folder: The output; it appears when everything is in it.

    Raises:
        DataError: The folder is missing, has another content than ``revision`` says, is damaged,
            or belongs to another index.
    """
    described = features / store.META
    if not described.is_file():
        raise DataError(
            f"runtime.features_folder = {features}: no imported features are there", _AGAIN
        )
    if file_sha256(described) != revision:
        raise DataError(
            f"runtime.features_folder = {features}: not the features of backbone.revision = "
            f"{revision}",
            _AGAIN,
        )
    meta = read_json(described)
    if meta["dataset_sha256"] != dataset_sha256(items):
        raise DataError(
            f"{features}: imported for another index of the dataset: "
            + _difference(items, meta, features),
            _AGAIN,
        )
    with replacing(folder) as temporary:
        temporary.mkdir()
        for name in ARRAYS:
            if name in meta["files"]:
                _take(features / name, temporary / name, meta["files"][name])
        _take(described, temporary / store.META, revision)
        store.load_embeddings(temporary)


def _take(source: Path, target: Path, expected: str) -> None:
    try:
        try:
            os.link(source.resolve(), target)
        except FileNotFoundError:
            raise
        except OSError:  # Another file system, or one without links.
            shutil.copyfile(source, target)
        digest = file_sha256(target)
    except FileNotFoundError:
        raise DataError(f"{source}: no such file", _AGAIN) from None
    except OSError as error:
        raise DataError(f"{source}: cannot be copied ({error.strerror})", _AGAIN) from None
    if digest != expected:
        raise DataError(f"{source}: damaged: its SHA-256 is not the one in {store.META}", _AGAIN)


def _difference(items: DatasetItems, meta: dict[str, Any], features: Path) -> str:
    ids = items.frame["image_id"].to_numpy(dtype=np.int64)
    imported = load_array(features / IMAGE_IDS, remedy=_AGAIN)
    missing, more = np.setdiff1d(ids, imported), np.setdiff1d(imported, ids)
    if missing.size or more.size:
        return (
            f"{missing.size} of its images were not imported{_such_as(missing)}, and "
            f"{more.size} that were imported are not in it{_such_as(more)}"
        )
    captions = int(items.caption_offsets()[-1])
    if captions != meta["captions"]:
        return f"it has {captions} captions, and {meta['captions']} were imported"
    return "the same images have other file names, sizes, captions or classes"


def _such_as(ids: Any) -> str:
    return f" (such as id {ids[0]})" if ids.size else ""
