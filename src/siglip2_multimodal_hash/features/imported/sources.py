"""Sources of imported features: clip-retrieval's folders, or plain arrays with ids."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.imported.ids import CAPTION_COLUMN, IdColumns, read_ids
from siglip2_multimodal_hash.features.imported.matrices import Matrix, open_matrix

IMAGES, CAPTIONS, METADATA = "img_emb", "text_emb", "metadata"

_LAYOUT = (
    f"clip-retrieval's layout is {IMAGES}/*.npy and {CAPTIONS}/*.npy (or one of them) with "
    f"{METADATA}/*.parquet; for plain arrays give --image with --image-ids, --caption with "
    "--caption-ids"
)


@dataclass(frozen=True, eq=False)
class Tower:
    """The features of one modality and the candidates for their ids, one row each.

    ``id_column`` names the one that holds the ids, where that was said.
    """

    matrix: Matrix
    ids: IdColumns
    id_column: str | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """Features to import: one or both modalities, with or without class prompts."""

    image: Tower | None
    caption: Tower | None
    prompts: Matrix | None = None


def read_clip_retrieval(folder: Path, id_column: str | None = None) -> Source:
    """Map what ``clip-retrieval inference`` writes; files belong together by their number.

    Args:
        folder: Of the files.
        id_column: See :func:`.read_ids`.

    Raises:
        DataError: A folder or a file is missing, damaged or has another number of rows than its
            metadata.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", _LAYOUT)
    images, captions, metadata = (
        _numbered(folder / name, suffix)
        for name, suffix in ((IMAGES, ".npy"), (CAPTIONS, ".npy"), (METADATA, ".parquet"))
    )
    if not images and not captions:
        raise DataError(f"{folder}: neither {IMAGES} nor {CAPTIONS} holds an .npy file", _LAYOUT)
    if not metadata:
        raise DataError(f"{folder / METADATA}: no .parquet file, so no ids", _LAYOUT)
    for name, files in ((IMAGES, images), (CAPTIONS, captions)):
        if files and (alone := sorted(files.keys() ^ metadata.keys())):
            raise DataError(
                f"{folder}: {name} and {METADATA} do not belong together: only one of them has a "
                f"file number {', '.join(map(str, alone))}",
                "copy the files that are missing",
            )
    numbers = sorted(metadata)
    read = [read_ids(metadata[number], id_column) for number in numbers]
    common = [name for name in read[0] if all(name in columns for columns in read)]
    if not {*common} - {CAPTION_COLUMN}:
        raise DataError(
            f"{folder / METADATA}: no column of ids that every file has",
            "write image_path, key or id to each of them",
        )
    # One list for both modalities: a row is a pair.
    ids = {name: [one for columns in read for one in columns[name]] for name in common}
    rows = [len(columns[common[0]]) for columns in read]

    def tower(files: Mapping[int, Path]) -> Tower | None:
        if not files:
            return None
        matrix = open_matrix([files[number] for number in numbers])
        for path, part, number, expected in zip(
            matrix.paths, matrix.parts, numbers, rows, strict=True
        ):
            if len(part) != expected:
                raise DataError(
                    f"{path}: {len(part)} rows, but {metadata[number].name} has {expected}",
                    "copy both files again; they must come from one run",
                )
        return Tower(matrix, ids, id_column)

    return Source(tower(images), tower(captions))


def read_plain(
    image: Path | None,
    image_ids: Path | None,
    caption: Path | None,
    caption_ids: Path | None,
    id_column: str | None = None,
) -> Source:
    """Map plain ``.npy`` arrays, each with its list of ids; see :func:`.read_ids`.

    Raises:
        InputError: An array without ids, ids without an array, or nothing at all.
        DataError: A file is missing or damaged, or rows and ids are not equally many.
    """
    source = Source(
        _plain("image", image, image_ids, id_column),
        _plain("caption", caption, caption_ids, id_column),
    )
    if source.image is None and source.caption is None:
        raise InputError("no features are named", _LAYOUT)
    return source


def _plain(name: str, array: Path | None, ids: Path | None, id_column: str | None) -> Tower | None:
    if array is None and ids is None:
        return None
    if array is None or ids is None:
        given, other = (f"{name}-ids", name) if array is None else (name, f"{name}-ids")
        raise InputError(f"--{given} needs --{other}", _LAYOUT)
    tower = Tower(open_matrix([array]), read_ids(ids, id_column), id_column)
    count = len(next(iter(tower.ids.values())))
    if count != len(tower.matrix):
        raise DataError(
            f"{array}: {len(tower.matrix)} rows, but {ids} has {count} ids",
            "give one id per row, in the order of the rows",
        )
    return tower


def _numbered(folder: Path, suffix: str) -> dict[int, Path]:
    """The files of a folder by their number, the last in the name: 10 comes after 9.

    Hidden files are those that desktops leave behind (``._img_emb_0.npy``).
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.glob(f"[!.]*{suffix}")):
        numbers = re.findall(r"[0-9]+", path.stem)
        if not numbers:
            raise DataError(f"{path}: no number in the name", _LAYOUT)
        number = int(numbers[-1])
        if number in found:
            raise DataError(
                f"{path}: has the same number as {found[number].name}", "remove one of the two"
            )
        found[number] = path
    return found
