"""From ids to the rows of the dataset's index."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.imported.ids import IdColumns

Rows = npt.NDArray[np.int64]

_UNKNOWN = -1
_SHOWN = 3
# An int64 has at most 19 digits; COCO pads its ids to 12.
_MOST_DIGITS = 19


@dataclass(frozen=True, eq=False)
class Match:
    """Which row of the features belongs to each item of the index.

    Attributes:
        rows: int64 [N] of the images, or [M] of the captions.
        extra: Rows whose id the index does not have; they are left out.
        column: Where the ids were found.
        repeated: Whether one caption row stands for all captions of an image.
    """

    rows: Rows
    extra: int
    column: str
    repeated: bool = False


class ImageIds:
    """The ways in which a row may name an image of the index.

    By its COCO image id (zeros in front do not matter), its file name, or a path or name without
    extension that ends in it. A name that several images share names none.
    """

    def __init__(self, index: DatasetIndex) -> None:
        self._by_id = {int(one): row for row, one in enumerate(index.frame["image_id"])}
        self._by_name: dict[str, int] = {}
        for row, name in enumerate(index.frame["file_name"]):
            for known in set(_endings(str(name))):
                self._by_name[known] = _UNKNOWN if known in self._by_name else row

    def row(self, one: str) -> int:
        """The row of the index that an id means, or -1."""
        if (row := self._number(one)) != _UNKNOWN:
            return row
        endings = _endings(one)
        for known in endings:
            if (row := self._by_name.get(known, _UNKNOWN)) != _UNKNOWN:
                return row
        # COCO 2017 names its files by the id alone.
        return self._number(endings[-1])

    def rows(self, ids: Iterable[str]) -> Rows:
        """:meth:`row` of each."""
        return np.fromiter(map(self.row, ids), dtype=np.int64)

    def _number(self, text: str) -> int:
        digits = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
        return self._by_id.get(int(text), _UNKNOWN) if digits else _UNKNOWN


def match_images(columns: IdColumns, index: DatasetIndex) -> Match:
    """One row for each image of the index.

    Raises:
        DataError: An image has no row or more than one, or no id is known at all.
    """
    column, found = _known(columns, index)
    counts = _counts(found, index)
    if (twice := np.flatnonzero(counts > 1)).size:
        places = np.flatnonzero(found == twice[0])
        raise DataError(
            f"image features: {_names(index, twice)} has more than one row, such as rows "
            f"{places[0]} and {places[1]} (ids {columns[column][places[0]]!r} and "
            f"{columns[column][places[1]]!r})",
            "keep one row an image",
        )
    _require_all("image", counts, index)
    order = np.argsort(found, kind="stable")
    extra = int((found == _UNKNOWN).sum())
    return Match(order[extra:], extra, column)


def match_captions(columns: IdColumns, index: DatasetIndex) -> Match:
    """One row for each caption of the index.

    The k-th row of an image is its k-th caption in the index. A source with one row an image gives
    it to all captions of that image.

    Raises:
        DataError: An image has no row, or neither one nor as many as it has captions.
    """
    column, found = _known(columns, index)
    counts = _counts(found, index)
    _require_all("caption", counts, index)
    captions = np.diff(index.caption_offsets())
    order = np.argsort(found, kind="stable")
    extra = int((found == _UNKNOWN).sum())
    rows = order[extra:]
    if (counts == captions).all():
        return Match(rows, extra, column)
    if (counts == 1).all():
        return Match(np.repeat(rows, captions), extra, column, repeated=True)
    wrong = np.flatnonzero(counts != captions)
    raise DataError(
        f"caption features: {_names(index, wrong)} has {counts[wrong[0]]} rows and "
        f"{captions[wrong[0]]} captions in the index",
        "give one row an image, or for every image one row a caption, in the order of the index",
    )


def _known(columns: IdColumns, index: DatasetIndex) -> tuple[str, Rows]:
    """The first column with ids of the index, and the row of the index for each of its ids."""
    known = ImageIds(index)
    for column, ids in columns.items():
        found = known.rows(ids)
        if (found != _UNKNOWN).any():
            return column, found
    column, ids = next(iter(columns.items()))
    shown = ", ".join(map(repr, ids[:_SHOWN])) or "none at all"
    first = index.frame.iloc[0]
    raise DataError(
        f"no id is of the dataset's index: {shown} ({', '.join(columns)})",
        f"ids are COCO image ids or file names, such as {first['image_id']} or "
        f"{first['file_name']}",
    )


def _counts(found: Rows, index: DatasetIndex) -> Rows:
    return np.bincount(found[found != _UNKNOWN], minlength=len(index.frame)).astype(np.int64)


def _require_all(kind: str, counts: Rows, index: DatasetIndex) -> None:
    if (missing := np.flatnonzero(counts == 0)).size:
        raise DataError(
            f"{kind} features: {len(missing)} of the {len(counts)} images of the index have no "
            f"row: {_names(index, missing)}",
            "compute the features of these images, too, or leave the images out of the dataset",
        )


def _names(index: DatasetIndex, rows: Rows) -> str:
    shown = index.frame.iloc[rows[:_SHOWN]]
    names = [
        f"{one} (id {i})" for one, i in zip(shown["file_name"], shown["image_id"], strict=True)
    ]
    return ", ".join(names) + (" and others" if len(rows) > _SHOWN else "")


def _endings(name: str) -> list[str]:
    """``a/b/c.jpg`` as ``a/b/c.jpg``, ``b/c.jpg``, ``b/c``, ``c.jpg`` and ``c``."""
    path = PurePosixPath(name.strip().replace("\\", "/"))
    near = PurePosixPath(*path.parts[-2:])
    return [str(path), str(near), str(near.parent / near.stem), path.name, path.stem]
