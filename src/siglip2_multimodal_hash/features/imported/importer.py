"""Take features over: match, check, reorder, and put them into a folder named by its content."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from siglip2_multimodal_hash.arrays import save_array
from siglip2_multimodal_hash.datasets.items import DatasetItems
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.imported.content import FILES, IMAGE_IDS, describe_import
from siglip2_multimodal_hash.features.imported.matching import Match, match_captions, match_images
from siglip2_multimodal_hash.features.imported.sources import Source, Tower
from siglip2_multimodal_hash.features.imported.writing import explained_disk, write_matrix
from siglip2_multimodal_hash.features.lengths import Lengths, warn_of_lengths
from siglip2_multimodal_hash.files import (
    file_sha256,
    holds_only,
    replacing,
    require_free,
    write_json,
)
from siglip2_multimodal_hash.progress import track

# Folders named by a digest; hidden files, such as a killed import leaves, are not touched.
_ROOT = holds_only(r"[0-9a-f]{64}|\..*")
_MATCH = {store.IMAGE: match_images, store.CAPTION: match_captions}


@dataclass(frozen=True)
class Imported:
    """A folder of imported features.

    Attributes:
        folder: Absolute.
        digest: SHA-256 of the content.
        image_dim: 0 where there are no image features.
        caption_dim: 0 where there are no caption features.
        lines: Description of the import, for people.
    """

    folder: Path
    digest: str
    image_dim: int
    caption_dim: int
    lines: tuple[str, ...]


def import_features(source: Source, items: DatasetItems, root: Path) -> Imported:
    """Write ``root/<digest>/`` in the form of :mod:`..store`, whole or not at all.

    Equal features give equal bytes and so the same folder. Rows of one length are warned of.

    Args:
        source: See :mod:`.sources`.
        items: The dataset.
        root: Folder of all imported features.

    Raises:
        DataError: Ids do not fit the index, or values are not usable; see :mod:`.matching` and
            :mod:`.writing`. Prompts are not one per class, or of another width than the images.
        InputError: The disk is full or cannot be written, or ``root`` is a folder of other things.
    """
    require_free(root, ours=_ROOT)
    _check_prompts(source, items)
    towers = _towers(source)
    matches = {
        name: _MATCH[name](tower.ids, items, tower.id_column) for name, tower in towers.items()
    }
    with _working_in(root) as work:
        lengths = {
            name: write_matrix(work / name, tower.matrix, matches[name].rows)
            for name, tower in track(towers.items(), "copying the features", "array")
        }
        if source.prompts is not None:
            every = np.arange(len(source.prompts), dtype=np.int64)
            write_matrix(work / store.PROMPT, source.prompts, every)
        with explained_disk(work):
            save_array(work / store.OFFSETS, items.caption_offsets())
            ids = items.frame["image_id"].to_numpy(dtype=np.int64)
            save_array(work / IMAGE_IDS, ids)
            meta = describe_import(items, work, _facts(source, lengths))
            write_json(work / store.META, meta)
            digest = file_sha256(work / store.META)
            folder = root.resolve() / digest
            _give_name(work, folder)
    for name, found in lengths.items():
        warn_of_lengths(name, found)
    return Imported(
        folder,
        digest,
        meta["image_dim"],
        meta["caption_dim"],
        tuple(_line(name, tower, matches[name]) for name, tower in towers.items()),
    )


def _towers(source: Source) -> dict[str, Tower]:
    both = {store.IMAGE: source.image, store.CAPTION: source.caption}
    return {name: tower for name, tower in both.items() if tower is not None}


def _check_prompts(source: Source, items: DatasetItems) -> None:
    if source.prompts is None:
        return
    if source.image is None:
        raise InputError(
            "--prompts: zero-shot compares class prompts with images, and there are no images",
            "leave out --prompts, or give the image features, too",
        )
    path, classes = source.prompts.paths[0], len(items.category_names)
    if len(source.prompts) != classes:
        raise DataError(
            f"{path}: {len(source.prompts)} rows, but the dataset has {classes} classes",
            "give one row per class, in ascending category id",
        )
    if source.prompts.width != source.image.matrix.width:
        raise DataError(
            f"{path}: {source.prompts.width} dimensions, but the image features have "
            f"{source.image.matrix.width}: zero-shot is the cosine of the two",
            "give prompts of the tower that belongs to the images, or leave out --prompts",
        )


def _facts(source: Source, lengths: dict[str, Lengths]) -> dict[str, Any]:
    towers = _towers(source)
    widths = {name: tower.matrix.width for name, tower in towers.items()}
    return {
        "image_dim": widths.get(store.IMAGE, 0),
        "caption_dim": widths.get(store.CAPTION, 0),
        "prompt_dim": 0 if source.prompts is None else source.prompts.width,
        "source_dtype": {name: tower.matrix.dtype for name, tower in towers.items()},
        "normalised": all(found.unit for found in lengths.values()),
    }


def _line(name: str, tower: Tower, match: Match) -> str:
    matrix = tower.matrix
    line = (
        f"{name}: {len(match.rows)} x {matrix.width}, from {len(matrix)} rows of {matrix.dtype} in "
        f"{len(matrix.paths)} file(s), ids by {match.column} ({match.evidence}): "
        f"{len(matrix) - match.extra} of {len(matrix)} rows fit"
    )
    if match.pairs:
        line += "; of one row per caption the first of each image was taken"
    if match.repeated:
        line += "; each row stands for all captions of its image"
    if match.extra:
        line += f"; {match.extra} rows that the index does not have were left out"
    return line


@contextmanager
def _working_in(root: Path) -> Iterator[Path]:
    with explained_disk(root / "any"):
        root.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=".import.tmp-", dir=root)
    with scratch:
        work = Path(scratch.name) / "features"
        work.mkdir()
        yield work


def _give_name(work: Path, folder: Path) -> None:
    """Move the finished folder to where it belongs; one of the same content makes way."""
    ours = holds_only("|".join(map(re.escape, (*FILES, store.META))))
    with replacing(folder, ours=ours) as temporary:
        work.replace(temporary)
