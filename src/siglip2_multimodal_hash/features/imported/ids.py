"""Which image each row belongs to: lists of ids as text, CSV, ``.npy`` or Parquet."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import load_array

# The columns that may tell the image, by precedence; the first two are clip-retrieval's.
ID_COLUMNS = ("image_path", "key", "id", "image_id", "file_name")

IdColumns = Mapping[str, list[str]]
"""Candidates for the ids: one list a column, each with an id a row."""

_FORMS = "give a .txt (one id a line), .csv, .npy (integers or strings) or .parquet file"


def read_ids(path: Path) -> IdColumns:
    """Read the ids of the rows of one file of features.

    Raises:
        DataError: The file is missing, damaged or of another kind, has no column of
            :data:`ID_COLUMNS`, or an id is empty.
    """
    readers = {".txt": _from_text, ".csv": _from_csv, ".npy": _from_array, ".parquet": read_table}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: not a list of ids", _FORMS)
    try:
        columns = reader(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", _FORMS) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error})", _FORMS) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", _FORMS) from None
    for ids in columns.values():
        empty = next((row for row, one in enumerate(ids) if not one.strip()), None)
        if empty is not None:
            raise DataError(f"{path}: row {empty} has an empty id", _FORMS)
    return columns


def read_table(path: Path) -> IdColumns:
    """The columns of a Parquet file, such as clip-retrieval's metadata, that may be ids.

    Columns of another type than string or integer, or with gaps, are none.

    Raises:
        DataError: The file is no Parquet, or no column is left.
    """
    try:
        file = pq.ParquetFile(path)
        names = [name for name in ID_COLUMNS if name in file.schema_arrow.names]
        table = file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(
            f"{path}: not a readable Parquet file ({error})", "fetch or write the file again"
        ) from None
    columns = {
        name: [str(one) for one in table.column(name).to_pylist()]
        for name in names
        if _is_id(table.schema.field(name).type) and not table.column(name).null_count
    }
    if not columns:
        raise DataError(
            f"{path}: no column of ids: {', '.join(file.schema_arrow.names) or 'no column at all'}",
            f"one of {', '.join(ID_COLUMNS)} must hold a string or an integer in every row",
        )
    return columns


def _is_id(kind: Any) -> bool:
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_integer(kind))


def _from_text(path: Path) -> IdColumns:
    return {"line": path.read_text(encoding="utf-8-sig").splitlines()}


def _from_csv(path: Path) -> IdColumns:
    """With a header where it names a column of ids; one column of ids needs none."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        try:
            rows = list(csv.reader(stream, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}: not readable CSV ({error})", _FORMS) from None
    if not rows:
        return {"column": []}
    header = rows[0]
    uneven = next((n for n, row in enumerate(rows) if len(row) != len(header)), None)
    if uneven is not None:
        raise DataError(
            f"{path}: line {uneven + 1} has {len(rows[uneven])} columns, the first {len(header)}",
            _FORMS,
        )
    named = {
        name: [row[header.index(name)] for row in rows[1:]] for name in ID_COLUMNS if name in header
    }
    if named:
        return named
    if len(header) > 1:
        raise DataError(
            f"{path}: several columns, and none of them is called {', '.join(ID_COLUMNS)}", _FORMS
        )
    return {"column": [row[0] for row in rows]}


def _from_array(path: Path) -> IdColumns:
    array = load_array(path, remedy=_FORMS)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: {array.dtype} {list(array.shape)}, expected a list of integers or strings",
            _FORMS,
        )
    return {"array": [str(one) for one in array.tolist()]}
