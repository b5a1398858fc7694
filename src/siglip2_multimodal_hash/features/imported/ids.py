"""Ids of the image of each row: lists as text, CSV, ``.npy`` or Parquet."""

import csv
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from siglip2_multimodal_hash.arrays import load_array
from siglip2_multimodal_hash.errors import DataError

# The columns that may identify the image, by precedence; the first two are clip-retrieval's.
ID_COLUMNS = ("image_path", "key", "id", "image_id", "file_name", "url")
# Lists that can hold nothing else, and a column of that very name: their numbers are ids.
PLAIN_LISTS = ("line", "column", "array")
CERTAIN = (*PLAIN_LISTS, "image_id")
# No id, but a check of one.
CAPTION_COLUMN = "caption"

IdColumns = Mapping[str, list[str]]
"""Columns that may identify the image of each row: by name, one text per row."""

_FORMS = "give a .txt (one id per line), .csv, .npy (integers or strings) or .parquet file"


def read_ids(path: Path, id_column: str | None = None) -> IdColumns:
    """Read the ids of the rows of one file of features, and their captions where it has them.

    Args:
        path: The file.
        id_column: The column that holds the ids; else any of :data:`ID_COLUMNS` may. A plain list
            has no columns and needs no name.

    Raises:
        DataError: The file is missing, damaged or of another kind, has no column of ids, or an id
            is empty.
    """
    readers: dict[str, Callable[[Path], IdColumns]] = {
        ".txt": _from_text,
        ".csv": partial(_from_csv, id_column=id_column),
        ".npy": _from_array,
        ".parquet": partial(_from_parquet, id_column=id_column),
    }
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
    for name, ids in columns.items():
        if name == CAPTION_COLUMN:
            continue
        empty = next((row for row, one in enumerate(ids) if not one.strip()), None)
        if empty is not None:
            raise DataError(f"{path}: row {empty} has an empty id", _FORMS)
    return columns


def _from_parquet(path: Path, id_column: str | None) -> IdColumns:
    """Read Parquet, such as clip-retrieval's metadata; only columns of text or integers count."""
    try:
        file = pq.ParquetFile(path)
        names = [name for name in _read_columns(id_column) if name in file.schema_arrow.names]
        table = file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(
            f"{path}: not a readable Parquet file ({error})", "fetch or write the file again"
        ) from None
    texts = {
        name: table.column(name).cast(pa.string())
        for name in names
        if _is_id(table.schema.field(name).type)
    }
    columns = {name: text.to_pylist() for name, text in texts.items() if not text.null_count}
    _require_ids(path, columns, file.schema_arrow.names, id_column)
    return columns


def _is_id(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_integer(kind))


def _read_columns(id_column: str | None) -> list[str]:
    return list(dict.fromkeys([*ID_COLUMNS, CAPTION_COLUMN, *([id_column] if id_column else [])]))


def _require_ids(path: Path, columns: IdColumns, there: list[str], id_column: str | None) -> None:
    if id_column in columns or (id_column is None and columns.keys() - {CAPTION_COLUMN}):
        return
    needed = f"one of {', '.join(ID_COLUMNS)}" if id_column is None else f"--id-column {id_column}"
    raise DataError(
        f"{path}: no column of ids: {', '.join(there) or 'no column at all'}",
        f"{needed} must hold a string or an integer in every row",
    )


def _from_text(path: Path) -> IdColumns:
    return {"line": path.read_text(encoding="utf-8-sig").splitlines()}


def _from_csv(path: Path, id_column: str | None) -> IdColumns:
    """Read CSV with a header that names a column of ids; a single column of ids needs none."""
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
        name: [row[header.index(name)] for row in rows[1:]]
        for name in _read_columns(id_column)
        if name in header
    }
    if named or len(header) > 1:
        _require_ids(path, named, header, id_column)
        return named
    return {"column": [row[0] for row in rows]}


def _from_array(path: Path) -> IdColumns:
    array = load_array(path, remedy=_FORMS)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: {array.dtype} {list(array.shape)}, expected a list of integers or strings",
            _FORMS,
        )
    return {"array": [str(one) for one in array.tolist()]}
