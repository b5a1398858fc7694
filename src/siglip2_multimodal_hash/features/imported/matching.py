"""Matching of ids to the rows of the dataset's index."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Rows
from siglip2_multimodal_hash.datasets.items import DatasetItems
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.imported.ids import CAPTION_COLUMN, CERTAIN, IdColumns

logger = logging.getLogger(__name__)


_UNKNOWN = -1
_SHOWN = 3
# An int64 has at most 19 digits; COCO pads its ids to 12.
_MOST_DIGITS = 19


@dataclass(frozen=True, eq=False)
class Match:
    """Row of the features for each item of the index.

    Attributes:
        rows: int64 [N] of the images, or [M] of the captions.
        extra: Rows whose id the index does not have; they are left out.
        column: Column of the ids.
        evidence: Reason to take them for ids.
        repeated: Whether one caption row stands for all captions of an image.
        pairs: Whether image rows came one per caption, of which the first was taken.
    """

    rows: Rows
    extra: int
    column: str
    evidence: str
    repeated: bool = False
    pairs: bool = False


@dataclass(frozen=True, eq=False)
class Found:
    """The row of the index that each id of one column means, or -1.

    Attributes:
        column: Its name.
        rows: int64 [R].
        by_name: bool [R]: by a file name, and not by a number alone.
    """

    column: str
    rows: Rows
    by_name: npt.NDArray[np.bool_]

    def images(self) -> int:
        """Number of images of the index that have a row."""
        return len(np.unique(self.rows[self.rows != _UNKNOWN]))


class ImageIds:
    """The ways in which a row may name an image of the index.

    By its COCO image id (zeros in front do not matter), its file name, or a path or name without
    extension that ends in it. A name that several images share names none.
    """

    def __init__(self, items: DatasetItems) -> None:
        self._by_id = {int(one): row for row, one in enumerate(items.frame["image_id"])}
        self._by_name: dict[str, int] = {}
        for row, name in enumerate(items.frame["file_name"]):
            for known in set(_endings(str(name))):
                self._by_name[known] = _UNKNOWN if known in self._by_name else row

    def row(self, one: str) -> tuple[int, bool]:
        """The row of the index that an id means, or -1; and whether by a file name.

        The file names of COCO 2017 are the ids themselves, and so are numbers.
        """
        if _is_number(one):
            return self._by_id.get(int(one), self._by_name.get(one, _UNKNOWN)), False
        endings = _endings(one)
        for known in endings:
            if (row := self._by_name.get(known, _UNKNOWN)) != _UNKNOWN:
                return row, True
        stem = endings[-1]
        return (self._by_id.get(int(stem), _UNKNOWN) if _is_number(stem) else _UNKNOWN), False

    def find(self, column: str, ids: Iterable[str]) -> Found:
        """:meth:`row` of each id of a column."""
        pairs = np.array([self.row(one) for one in ids], dtype=np.int64).reshape(-1, 2)
        return Found(column, pairs[:, 0], pairs[:, 1].astype(bool))


def match_images(columns: IdColumns, items: DatasetItems, id_column: str | None = None) -> Match:
    """One row for each image of the index; of one row per caption, the first of its image.

    Args:
        columns: See :mod:`.ids`.
        items: The dataset.
        id_column: The column that holds the ids, whatever its numbers look like.

    Raises:
        DataError: An image has no row or more than one, no id is known at all, or numbers are not
            believed; see :func:`find_rows`.
    """
    found, evidence = find_rows(columns, items, id_column)
    counts = _counts(found.rows, items)
    pairs = bool((counts == np.diff(items.caption_offsets())).all()) and counts.max() > 1
    if not pairs and (twice := np.flatnonzero(counts > 1)).size:
        places, ids = np.flatnonzero(found.rows == twice[0]), columns[found.column]
        raise DataError(
            f"image features: {_names(items, twice)} has more than one row, such as rows "
            f"{places[0]} and {places[1]} (ids {ids[places[0]]!r} and {ids[places[1]]!r})",
            "keep one row per image, or one per caption",
        )
    _require_all("image", counts, items)
    order = np.argsort(found.rows, kind="stable")
    extra = int((found.rows == _UNKNOWN).sum())
    first = order[extra:][np.cumsum(counts) - counts]
    return Match(first, extra, found.column, evidence, pairs=pairs)


def match_captions(columns: IdColumns, items: DatasetItems, id_column: str | None = None) -> Match:
    """One row for each caption of the index, by the ids of their images.

    The k-th row of an image is its k-th caption in the index. A source with one row per image gives
    it to all captions of that image.

    Raises:
        DataError: An image has no row, or neither one nor as many as it has captions; or numbers
            are not believed, see :func:`find_rows`.
    """
    found, evidence = find_rows(columns, items, id_column)
    counts = _counts(found.rows, items)
    _require_all("caption", counts, items)
    captions = np.diff(items.caption_offsets())
    order = np.argsort(found.rows, kind="stable")
    extra = int((found.rows == _UNKNOWN).sum())
    rows = order[extra:]
    if (counts == captions).all():
        return Match(rows, extra, found.column, evidence)
    if (counts == 1).all():
        return Match(np.repeat(rows, captions), extra, found.column, evidence, repeated=True)
    wrong = np.flatnonzero(counts != captions)
    raise DataError(
        f"caption features: {_names(items, wrong)} has {counts[wrong[0]]} rows and "
        f"{captions[wrong[0]]} captions in the index",
        "give one row per image, or for every image one row per caption, in the order of the index",
    )


def find_rows(
    columns: IdColumns, items: DatasetItems, id_column: str | None = None
) -> tuple[Found, str]:
    """The column whose ids cover most images of the index, with the evidence for it.

    A file name proves itself. A number does not: running counts and shard keys fall on ids of COCO,
    too. File names and captions beside it must not contradict it, and without either it must not
    look like a count, unless the column is called ``image_id``, is a list of nothing but ids, or
    is named.

    Args:
        columns: See :mod:`.ids`.
        items: The dataset.
        id_column: The only column to look at, with a warning where something contradicts it.

    Raises:
        DataError: No id is known, or no column with known ids is believed.
    """
    known = ImageIds(items)
    found = {name: known.find(name, ids) for name, ids in columns.items() if name != CAPTION_COLUMN}
    witnesses = {name: np.where(one.by_name, one.rows, _UNKNOWN) for name, one in found.items()}
    if CAPTION_COLUMN in columns:
        witnesses[CAPTION_COLUMN] = _images_of_captions(columns[CAPTION_COLUMN], items)
    candidates = [found[id_column]] if id_column in found else list(found.values())
    candidates.sort(key=lambda one: (one.images(), one.by_name.sum()), reverse=True)
    refusals = []
    for one in candidates:
        if not one.images():
            continue
        try:
            certain = one.column in (*CERTAIN, id_column)
            return one, _evidence(one, columns, witnesses, items, certain=certain)
        except DataError as error:
            if one.column == id_column:
                logger.warning("%s", str(error).partition("\n")[0])
                return one, f"numbers, as --id-column {id_column} says"
            refusals.append(error)
    if refusals:
        raise refusals[0]
    ids = columns[candidates[0].column]
    shown = ", ".join(map(repr, ids[:_SHOWN])) or "none at all"
    first = items.frame.iloc[0]
    raise DataError(
        f"no id is of the dataset's index: {shown} ({', '.join(found)})",
        f"ids are the dataset's image ids or file names, such as {first['image_id']} or "
        f"{first['file_name']}",
    )


def _evidence(
    found: Found,
    columns: IdColumns,
    witnesses: Mapping[str, Rows],
    items: DatasetItems,
    *,
    certain: bool,
) -> str:
    """Evidence that the ids of a column are right.

    Raises:
        DataError: They are numbers that something contradicts, or that look like a count and are
            not ``certain`` to be ids.
    """
    column, ids, rows = found.column, columns[found.column], found.rows
    if found.by_name[rows != _UNKNOWN].all():
        return "file names"
    remedy = (
        "import features with file names or image ids, or give `--id-column "
        f"{column}` if these numbers are the ids of the dataset"
    )
    agreeing = []
    for name, other in witnesses.items():
        known = np.flatnonzero(other != _UNKNOWN)
        wrong = known[rows[known] != other[known]]
        # Captions are no keys: some are of several images.
        if name != column and len(wrong) > (len(known) / 2 if name == CAPTION_COLUMN else 0):
            row = wrong[0]
            raise DataError(
                f"{column}: its numbers are no ids of the dataset: {name} contradicts them in "
                f"{len(wrong)} of {len(known)} rows, such as row {row} with {ids[row]!r} next to "
                f"{columns[name][row]!r}, which is of {_names(items, other[[row]])}",
                remedy,
            )
        # A few rows prove nothing.
        if name != column and len(known) - len(wrong) >= found.images() / 2:
            agreeing.append(f"{name} agrees in {len(known) - len(wrong)} of {len(known)} rows")
    if not agreeing and not certain and _is_count(ids):
        raise DataError(
            f"{column}: its numbers, such as {ids[0]!r}, are a running count or keys of shards, "
            "and no file name or caption next to them confirms that they are image ids",
            remedy,
        )
    return f"numbers; {', '.join(agreeing)}" if agreeing else "numbers, with nothing to check them"


def _is_count(ids: Iterable[str]) -> bool:
    """Test whether most numbers have their successor; of COCO's image ids, a fifth has."""
    stems = (_endings(one)[-1] for one in ids)
    numbers = {int(stem) for stem in stems if _is_number(stem)}
    return 2 * sum(number + 1 in numbers for number in numbers) > len(numbers)


def _images_of_captions(captions: Iterable[str], items: DatasetItems) -> Rows:
    """The image that each text is a caption of; -1 for none and for several."""
    known: dict[str, int] = {}
    for row, texts in enumerate(items.frame["captions"]):
        for text in map(_plain_text, texts):
            known[text] = row if known.get(text, row) == row else _UNKNOWN
    found = (known.get(_plain_text(one), _UNKNOWN) for one in captions)
    return np.fromiter(found, dtype=np.int64)


def _plain_text(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _counts(found: Rows, items: DatasetItems) -> Rows:
    return np.bincount(found[found != _UNKNOWN], minlength=len(items.frame)).astype(np.int64)


def _require_all(kind: str, counts: Rows, items: DatasetItems) -> None:
    if (missing := np.flatnonzero(counts == 0)).size:
        raise DataError(
            f"{kind} features: {len(missing)} of the {len(counts)} images of the index have no "
            f"row: {_names(items, missing)}",
            "compute the features of these images, too, or leave the images out of the dataset",
        )


def _names(items: DatasetItems, rows: Rows) -> str:
    shown = items.frame.iloc[rows[:_SHOWN]]
    names = [
        f"{one} (id {i})" for one, i in zip(shown["file_name"], shown["image_id"], strict=True)
    ]
    return ", ".join(names) + (" and others" if len(rows) > _SHOWN else "")


def _endings(name: str) -> list[str]:
    """``a/b/c.jpg`` as ``a/b/c.jpg``, ``b/c.jpg``, ``b/c``, ``c.jpg`` and ``c``; so, too, a URL."""
    scheme, separator, rest = name.partition("://")
    path = unquote(rest.partition("?")[0].partition("#")[0]) if separator else scheme
    path = path.strip().replace("\\", "/").rstrip("/")
    folders, _, last = path.rpartition("/")
    dot = last.rfind(".")
    stem = last[:dot] if dot > 0 else last
    near = folders.rpartition("/")[2]
    near = f"{near}/" if near else ""
    return [path, f"{near}{last}", f"{near}{stem}", last, stem]
