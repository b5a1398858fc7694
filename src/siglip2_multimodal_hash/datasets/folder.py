"""A dataset of one's own: a folder of images with metadata, as Hugging Face's ImageFolder has it.

``metadata.csv``, ``.jsonl`` or ``.parquet`` at the root, or one in each of ``train/``,
``validation/`` and ``test/``; one row per image:

- ``file_name``: its path from the folder of the metadata, with ``/``;
- ``caption``, ``text`` or ``captions``: none, one, or a list;
- ``labels``: names of classes, a list, or in CSV joined by ``;``;
- ``split``: optional, see :data:`SPLIT_OF`; without it the split is seeded.

The classes are the lines of ``classes.txt``, in that order, if it is there; else all labels, in
alphabetical order.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from siglip2_multimodal_hash.datasets.annotations import Annotations
from siglip2_multimodal_hash.datasets.containers import IMAGE_SUFFIXES
from siglip2_multimodal_hash.datasets.images import open_image_source, stored_size
from siglip2_multimodal_hash.datasets.index import SPLITS
from siglip2_multimodal_hash.datasets.layout import (
    CLASSES_FILE,
    SPLIT_FOLDERS,
    find_metadata,
    is_safe_path,
    layout_of,
)
from siglip2_multimodal_hash.datasets.manifest import (
    list_images,
    scan_source,
)
from siglip2_multimodal_hash.datasets.protocols import (
    SplitCounts,
    check_own_split,
    own_split,
    write_own_split,
)
from siglip2_multimodal_hash.datasets.split_file import SplitImage
from siglip2_multimodal_hash.errors import DataError, did_you_mean
from siglip2_multimodal_hash.params import DatasetParams, RuntimeParams

CAPTION_COLUMNS = ("caption", "text", "captions")
COLUMNS = ("file_name", *CAPTION_COLUMNS, "labels", "split")
SPLIT_OF = {**{name: name for name in SPLITS}, "validation": "val"}
"""Values of the column ``split``: those of :mod:`.index`, and Hugging Face's ``validation``."""

_CORRECT = "correct the row; docs/own-data.md describes the form"
_COLUMN_REMEDY = f"the columns are file_name, labels, one of {', '.join(CAPTION_COLUMNS)}, split"
_ENCODING = "save the file as UTF-8"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class PhotoFolder:
    """See :class:`.sources.DatasetSource`, whose methods these are."""

    root: Path
    dataset: DatasetParams
    runtime: RuntimeParams

    def identify(self, sha256: Callable[[Path], str]) -> Any:
        """Digests of the metadata, which are checked, and of the list of the images."""
        self.prepare()
        return scan_source(self.root, sha256, kind="folder").description()

    def class_count(self) -> int | None:
        """The number of classes."""
        return len(self._metadata.classes)

    def prepare(self) -> None:
        """Check the metadata."""
        _ = self._metadata

    def write_split(self, target: Path) -> SplitCounts:
        """The split of the metadata, or a seeded one."""
        return write_own_split(target, self._metadata.split)

    def annotations(self) -> Annotations:
        """Of the rows, with the sizes in the heads of the image files."""
        return self._metadata.annotations(self.root)

    @cached_property
    def _metadata(self) -> "Folder":
        return read_folder(self.root, self.dataset.val_slice.seed)


@dataclass(frozen=True)
class Photo:
    """A row of metadata; ``file_name`` is from the root, ``split`` empty where none is given."""

    where: str
    file_name: str
    captions: tuple[str, ...]
    labels: tuple[str, ...]
    split: str


@dataclass(frozen=True)
class Folder:
    """Checked metadata: N photos, whose ids are 1 to N in this order, and C classes."""

    photos: tuple[Photo, ...]
    classes: tuple[str, ...]
    split: tuple[SplitImage, ...]

    def annotations(self, root: Path) -> Annotations:
        """Captions and labels of the photos, with their sizes from the heads of their files."""
        images = open_image_source(root, "folder")
        sizes = [stored_size(images, photo.file_name) for photo in self.photos]
        widths, heights = np.array(sizes, dtype=np.int32).T
        return Annotations(
            image_ids=np.arange(1, len(self.photos) + 1, dtype=np.int64),
            file_names=tuple(photo.file_name for photo in self.photos),
            widths=widths,
            heights=heights,
            captions=tuple(photo.captions for photo in self.photos),
            labels=self.labels(),
            category_ids=tuple(range(1, len(self.classes) + 1)),
            category_names=self.classes,
            crowds=0,
        )

    def labels(self) -> npt.NDArray[np.uint8]:
        """uint8 [N, C], multi-hot."""
        column = {name: position for position, name in enumerate(self.classes)}
        found = np.zeros((len(self.photos), len(column)), dtype=np.uint8)
        for row, photo in enumerate(self.photos):
            found[row, [column[name] for name in photo.labels]] = 1
        return found


def read_folder(root: Path, seed: int) -> Folder:
    """Read and check all metadata below ``root``; no image is opened.

    Args:
        root: ``runtime.dataset_root``.
        seed: Of the split, where the metadata has none.

    Raises:
        DataError: A file is damaged or a row breaks a rule; the message names both.
    """
    photos: list[Photo] = []
    for folder, path in find_metadata(root).items():
        photos += _read_metadata(path, folder)
    _check_names(photos)
    classes = _read_classes(root / CLASSES_FILE, photos)
    splits = {number: photo.split for number, photo in enumerate(photos, 1) if photo.split}
    bare = next((photo for photo in photos if not photo.split), None)
    if splits and bare is not None:
        raise DataError(f"{bare.where}: no split, but other rows have one", _CORRECT)
    named = [(number, photo.file_name) for number, photo in enumerate(photos, 1)]
    folder_of = Folder(tuple(photos), classes, own_split(named, splits, seed))
    remedy = (
        "correct the column split, or leave it out for a seeded one"
        if splits
        else "give more images, another dataset.val_slice.seed, or a column split"
    )
    labels = dict(enumerate(folder_of.labels(), 1))
    listed = (root / CLASSES_FILE).is_file()
    check_own_split(root, folder_of.split, labels, classes, remedy, listed=listed)
    _check_images(root, photos)
    return folder_of


def _read_metadata(path: Path, folder: str) -> Iterator[Photo]:
    """The photos of one file, row by row."""
    columns, rows = _READERS[path.suffix](path)
    _check_columns(path, columns, folder)
    captions = next((name for name in CAPTION_COLUMNS if name in columns), None)
    empty = True
    for number, row in enumerate(rows, 1):
        empty, where = False, f"{path}: row {number}"
        name = _text(where, "file_name", row.get("file_name"))
        if not is_safe_path(name):
            raise DataError(
                f"{where}: file_name {name!r} is not a path below the folder of the metadata",
                "plain names joined by /, without .. or a drive; put the image into the folder",
            )
        if not name.lower().endswith(IMAGE_SUFFIXES):
            raise DataError(
                f"{where}: file_name {name!r} is no image by its suffix "
                f"({', '.join(IMAGE_SUFFIXES)})",
                _CORRECT,
            )
        yield Photo(
            where,
            f"{folder}/{name}".removeprefix("/"),
            tuple(_captions(where, captions, row.get(captions)) if captions else ()),
            tuple(_labels(where, row.get("labels"), joined=path.suffix == ".csv")),
            SPLIT_FOLDERS[folder] if folder else _split(where, row.get("split")),
        )
    if empty:
        raise DataError(f"{path}: no row", "list the images, one row each")


def _check_columns(path: Path, columns: Sequence[str], folder: str) -> None:
    for name, count in Counter(columns).items():
        if count > 1:
            raise DataError(f"{path}: column {name!r} occurs twice", _COLUMN_REMEDY)
        if name not in COLUMNS:
            raise DataError(
                f"{path}: unknown column {name!r}",
                f"{did_you_mean(name, COLUMNS)} {_COLUMN_REMEDY}".lstrip(),
            )
    for name in ("file_name", "labels"):
        if name not in columns:
            raise DataError(f"{path}: no column {name!r}", _COLUMN_REMEDY)
    texts = [name for name in CAPTION_COLUMNS if name in columns]
    if len(texts) > 1:
        raise DataError(f"{path}: both {texts[0]!r} and {texts[1]!r}", _COLUMN_REMEDY)
    if folder and "split" in columns:
        raise DataError(
            f"{path}: a column 'split' in the metadata of the folder {folder}/",
            "the folder says the split: leave the column out, or write one file at the root",
        )


def _text(where: str, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: {key} = {value!r:.80} is no text", _CORRECT)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{where}: {key} = {value!a:.80} is not valid text", _ENCODING) from None
    return value


def _captions(where: str, key: str, value: Any) -> list[str]:
    if isinstance(value, str) and key == "captions" and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise DataError(f"{where}: captions is not a JSON list ({error})", _CORRECT) from None
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if isinstance(value, list) and key != "captions":
        raise DataError(f"{where}: {key} is a list", "name the column captions")
    return [_text(where, key, one) for one in (value if isinstance(value, list) else [value])]


def _labels(where: str, value: Any, *, joined: bool) -> list[str]:
    if joined and isinstance(value, str):
        value = value.split(";") if value.strip() else []
    if value is None:
        value = []
    if not isinstance(value, list):
        raise DataError(f"{where}: labels = {value!r:.80} is no list of names", _CORRECT)
    names = [_text(where, "labels", one).strip() for one in value]
    for name in names:
        if not name.isprintable():
            raise DataError(f"{where}: label {name!r:.80} does not print", _CORRECT)
        if names.count(name) > 1:
            raise DataError(f"{where}: label {name!r} occurs twice", _CORRECT)
    return names


def _split(where: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or value not in SPLIT_OF:
        raise DataError(
            f"{where}: split {value!r:.80} is unknown (known: {', '.join(SPLIT_OF)})", _CORRECT
        )
    return SPLIT_OF[value]


def _check_images(root: Path, photos: Sequence[Photo]) -> None:
    present = list_images(layout_of("folder").images(root))
    missing = [photo for photo in photos if photo.file_name not in present]
    if missing:
        first, more = missing[0], len(missing) - 1
        raise DataError(
            f"{first.where}: {root / first.file_name}: no such image"
            + (f", nor those of {more} more rows" if more else ""),
            "put it there, not behind a link to a folder, or leave the row out",
        )


def _check_names(photos: Sequence[Photo]) -> None:
    first: dict[str, Photo] = {}
    for photo in photos:
        other = first.setdefault(photo.file_name, photo)
        if other is not photo:
            raise DataError(
                f"{photo.where}: file_name {photo.file_name!r} occurs before ({other.where})",
                "one row per image, with all its labels and captions",
            )


def _read_classes(path: Path, photos: Sequence[Photo]) -> tuple[str, ...]:
    """The classes, in the order of their columns."""
    where = {name: photo.where for photo in reversed(photos) for name in photo.labels}
    classes = sorted(where)
    if path.is_file():
        classes = [line.strip() for line in _decoded(path).splitlines()]
        for number, name in enumerate(classes, 1):
            if not name or not name.isprintable() or classes.count(name) > 1:
                raise DataError(
                    f"{path}: line {number}: {name!r:.80} is empty, occurs twice or does not print",
                    "one name of a class per line",
                )
        for name, row in where.items():
            if name not in classes:
                raise DataError(
                    f"{row}: label {name!r} is not in {CLASSES_FILE}",
                    f"{did_you_mean(name, classes)} add it there".lstrip(),
                )
    if len(classes) < 2:
        raise DataError(f"{path.parent}: {len(classes)} class(es)", "a head needs 2 or more")
    # The towers read lower case, so that the prompts of such classes would be the same text.
    spelling: dict[str, str] = {}
    for name in classes:
        other = spelling.setdefault(" ".join(name.lower().split()), name)
        if other != name:
            raise DataError(
                f"{where.get(name, path)}: label {name!r} differs from {other!r} in its spelling "
                "alone",
                "write a class the same everywhere",
            )
    return tuple(classes)


def _decoded(path: Path) -> str:
    """The text of a file, with or without a byte order mark.

    Raises:
        DataError: It cannot be read or is not UTF-8; the message names the line.
    """
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "check the file") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line}: not UTF-8", _ENCODING) from None


def _read_csv(path: Path) -> tuple[Sequence[str], Iterable[Row]]:
    reader = csv.reader(io.StringIO(_decoded(path), newline=""), strict=True)

    def rows(columns: Sequence[str]) -> Iterator[Row]:
        number = 0
        try:
            for cells in reader:
                if not cells:
                    continue
                number += 1
                if len(cells) != len(columns):
                    raise DataError(
                        f"{path}: row {number}: {len(cells)} cells, but {len(columns)} columns",
                        'put a text with a comma or a quote in quotes: "a dog, a cat"',
                    )
                yield dict(zip(columns, cells, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}: row {number + 1}: not CSV ({error})", _CORRECT) from None

    try:
        columns = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise DataError(f"{path}: row 0: not CSV ({error})", _CORRECT) from None
    return columns, rows(columns)


def _read_jsonl(path: Path) -> tuple[Sequence[str], Iterable[Row]]:
    rows: list[Row] = []
    columns: dict[str, None] = {}
    for number, line in enumerate(_decoded(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number}: not JSON ({error})", _CORRECT) from None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number}: not an object", _CORRECT)
        rows.append(row)
        columns |= dict.fromkeys(row)
    return list(columns), rows


def _read_parquet(path: Path) -> tuple[Sequence[str], Iterable[Row]]:
    try:
        table = pq.ParquetFile(path).read()
        return table.schema.names, table.to_pylist() if table.num_columns else []
    except UnicodeDecodeError:
        raise DataError(f"{path}: a text is not UTF-8", _ENCODING) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file ({error})", "write it again"
        ) from None


_READERS: dict[str, Callable[[Path], tuple[Sequence[str], Iterable[Row]]]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
