"""The items of a dataset: one row per image, with its captions, and the names of the classes.

This is all of a dataset that its embeddings depend on, but for the pixels. The index adds splits
and labels and repeats the rest, so that whatever reads it needs no second file. Another protocol
over the same images gives the same items, row by row and byte by byte, and so leaves the
embeddings.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing

NO_CAPTION = ("",)
"""Captions of an image that has none: an empty text fills the place, so that every image has one.

A dataset's own captions are never empty.
"""

_METADATA = ("category_ids", "category_names")
_REBUILD = "run `dvc repro build_dataset_index`"


@dataclass(frozen=True, eq=False)
class DatasetItems:
    """N images in ascending image id, M captions, C categories in ascending category id.

    Attributes:
        frame: One row per image: ``image_id`` int64, ``file_name`` str (under ``images/``),
            ``captions`` list[str] (at least one; see
            :data:`NO_CAPTION`), ``width`` and ``height`` int32, ``bytes`` int64.
        category_ids: C ids.
        category_names: C names.
    """

    frame: pd.DataFrame
    category_ids: tuple[int, ...]
    category_names: tuple[str, ...]

    def captions(self) -> list[str]:
        """All M captions, in row order."""
        return list(chain.from_iterable(self.frame["captions"]))

    def uncaptioned(self) -> int:
        """The number of images without a caption."""
        return sum(tuple(texts) == NO_CAPTION for texts in self.frame["captions"])

    def caption_offsets(self) -> npt.NDArray[np.int64]:
        """int64 [N + 1]: the captions of row i are ``captions()[offsets[i]:offsets[i + 1]]``."""
        counts = np.fromiter(map(len, self.frame["captions"]), np.int64, len(self.frame))
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def item_columns(columns: Mapping[str, Any], captions: Iterable[Sequence[str]]) -> dict[str, Any]:
    """The columns of :class:`DatasetItems`, in their types.

    Args:
        columns: ``image_id``, ``file_name``, ``width``, ``height`` and ``bytes``, each of length N.
        captions: The captions of each of the N images.
    """
    return {
        "image_id": np.asarray(columns["image_id"], dtype=np.int64),
        "file_name": pd.Series(list(columns["file_name"]), dtype="str"),
        "captions": pd.Series([list(texts) for texts in captions], dtype=object),
        "width": np.asarray(columns["width"], dtype=np.int32),
        "height": np.asarray(columns["height"], dtype=np.int32),
        "bytes": np.asarray(columns["bytes"], dtype=np.int64),
    }


def required(name: str, kind: pa.DataType) -> pa.Field:
    """A column of the file without nulls."""
    return pa.field(name, kind, nullable=False)


ITEM_FIELDS = (
    required("image_id", pa.int64()),
    required("file_name", pa.string()),
    required("captions", pa.list_(required("element", pa.string()))),
    required("width", pa.int32()),
    required("height", pa.int32()),
    required("bytes", pa.int64()),
)


def write_items(path: Path, items: DatasetItems) -> None:
    """Write the items, as :func:`write_columns` does; splits and labels of an index stay out."""
    write_columns(path, items, ITEM_FIELDS)


def write_columns(
    path: Path, items: DatasetItems, fields: Sequence[pa.Field], **more: pa.Array
) -> None:
    """Write columns of the frame as Parquet; equal items give equal bytes.

    Written through Arrow's own types: pandas' would add its version to the file.

    Args:
        path: The file.
        items: The frame and the categories.
        fields: Of the columns, in their order.
        more: Columns whose arrays pandas cannot give.
    """
    metadata = {
        "category_ids": json.dumps(items.category_ids),
        "category_names": json.dumps(items.category_names, ensure_ascii=False),
    }
    more["captions"] = pa.ListArray.from_arrays(
        pa.array(items.caption_offsets(), pa.int32()), pa.array(items.captions(), pa.string())
    )
    arrays = [
        more[field.name].cast(field.type)
        if field.name in more
        else pa.array(items.frame[field.name], field.type)
        for field in fields
    ]
    with replacing(path) as temporary:
        table = pa.table(arrays, pa.schema(fields, metadata))
        pq.write_table(table, temporary, compression="zstd")


def read_items(path: Path) -> DatasetItems:
    """Read and check what :func:`write_items` wrote.

    Raises:
        DataError: The file is missing or no Parquet file, a column is missing or of another type,
            or a value breaks a rule of :class:`DatasetItems`; the message names the column.
    """
    table, category_ids, category_names = read_table(path)
    check_columns(path, table, ITEM_FIELDS)
    items = DatasetItems(pd.DataFrame(columns_of(table)), category_ids, category_names)
    check_values(path, items)
    return items


def read_table(path: Path) -> tuple[pa.Table, tuple[int, ...], tuple[str, ...]]:
    """The table of a file and its categories, ids and names.

    Raises:
        DataError: The file is missing or no Parquet file, or has no categories.
    """
    try:
        table = pq.ParquetFile(path).read()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", _REBUILD) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})", _REBUILD) from None
    return table, *_read_categories(path, table.schema.metadata or {})


def columns_of(table: pa.Table) -> dict[str, Any]:
    """:func:`item_columns` of a table that has them."""
    lists = table.column("captions").combine_chunks()
    texts = lists.values.to_numpy(zero_copy_only=False).tolist()
    plain = [field.name for field in ITEM_FIELDS if field.name != "captions"]
    return item_columns(
        {name: table.column(name).to_numpy() for name in plain},
        (texts[begin:end] for begin, end in pairwise(lists.offsets.to_pylist())),
    )


def check_columns(path: Path, table: pa.Table, fields: Iterable[pa.Field]) -> None:
    """Compare the columns of a table with those expected.

    Raises:
        DataError: One is missing, or of another type.
    """
    for field in fields:
        if field.name not in table.schema.names:
            raise DataError(f"{path}: no column {field.name!r}", _REBUILD)
        found = table.schema.field(field.name)
        if not found.equals(field):
            raise DataError(
                f"{path}: column {field.name!r} is {found.type}, expected {field.type}", _REBUILD
            )


def check_values(path: Path, items: DatasetItems, **more: bool) -> None:
    """Hold the values of a file against the rules of :class:`DatasetItems`.

    Args:
        path: The file.
        items: What was read.
        more: Whether the values of further columns are in range.

    Raises:
        DataError: Some are not; the message names the columns.
    """
    frame = items.frame
    rules = {
        "image_id": bool((np.diff(frame["image_id"].to_numpy()) > 0).all()),
        "captions": bool((np.diff(items.caption_offsets()) > 0).all()),
        **more,
        "width": bool((frame["width"] > 0).all()),
        "height": bool((frame["height"] > 0).all()),
        # 0 is an empty file: damage, which the embedding pass names with all other damage.
        "bytes": bool((frame["bytes"] >= 0).all()),
    }
    broken = [name for name, holds in rules.items() if not holds]
    if broken:
        raise DataError(f"{path}: values out of range in column {', '.join(broken)}", _REBUILD)


def _read_categories(
    path: Path, metadata: Mapping[bytes, bytes]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    try:
        ids, names = (tuple(json.loads(metadata[key.encode()])) for key in _METADATA)
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{path}: no {' and '.join(_METADATA)} in the file's metadata: not a dataset index",
            _REBUILD,
        ) from None
    typed = all(type(one) is int for one in ids) and all(type(one) is str for one in names)
    if not typed or not ids or len(ids) != len(names) or list(ids) != sorted(set(ids)):
        raise DataError(
            f"{path}: category_ids and category_names are not C ascending ids and C names", _REBUILD
        )
    return ids, names
