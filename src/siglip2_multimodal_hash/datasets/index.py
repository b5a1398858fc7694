"""The index of a dataset: one row per image, with its split, captions and labels.

Every later stage works on it and on nothing else of the dataset but the pixels. The names of the
splits say all that later stages need to know of a protocol:

============== ======= =============== ==================
split          trains  query           in the database
============== ======= =============== ==================
train          yes                     yes
restval        yes                     yes
database                               yes
database_val           of val          for test, not val
val                    of val
test                   of test
============== ======= =============== ==================
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing

SPLITS = ("train", "restval", "database", "database_val", "val", "test")
EvaluationSplit = Literal["train", "database", "val", "test"]

# The splits that each part of an evaluation takes; the queries of test are searched in `database`.
ROWS_OF: Mapping[EvaluationSplit, tuple[str, ...]] = {
    "train": ("train", "restval"),
    "database": ("train", "restval", "database", "database_val"),
    "val": ("val", "database_val"),
    "test": ("test",),
}
# A fit, its selection and its report cannot do without them.
NEEDED: tuple[EvaluationSplit, ...] = ("train", "val", "test")
_PLAIN = ("image_id", "file_name", "split", "width", "height", "bytes")
_METADATA = ("category_ids", "category_names")
_REBUILD = "run `dvc repro build_dataset_index`"


@dataclass(frozen=True, eq=False)
class DatasetIndex:
    """N images in ascending image id, M captions, C categories in ascending category id.

    Attributes:
        frame: One row per image: ``image_id`` int64, ``file_name`` str (under ``images/``),
            ``split`` str (one of :data:`SPLITS`), ``captions`` list[str] (at least one),
            ``labels`` uint8 [C] (multi-hot), ``width`` and ``height`` int32, ``bytes`` int64.
        category_ids: C ids.
        category_names: C names.
    """

    frame: pd.DataFrame
    category_ids: tuple[int, ...]
    category_names: tuple[str, ...]

    def labels(self) -> npt.NDArray[np.uint8]:
        """uint8 [N, C], multi-hot."""
        if self.frame.empty:
            return np.zeros((0, len(self.category_ids)), dtype=np.uint8)
        return np.stack(self.frame["labels"].to_list())

    def rows(self, split: EvaluationSplit) -> npt.NDArray[np.int64]:
        """int64 [n], ascending rows of a split; see :data:`.split_file.ROWS_OF`."""
        return np.flatnonzero(self.frame["split"].isin(ROWS_OF[split])).astype(np.int64)

    def captions(self) -> list[str]:
        """All M captions, in row order."""
        return list(chain.from_iterable(self.frame["captions"]))

    def caption_offsets(self) -> npt.NDArray[np.int64]:
        """int64 [N + 1]: the captions of row i are ``captions()[offsets[i]:offsets[i + 1]]``."""
        counts = np.fromiter(map(len, self.frame["captions"]), np.int64, len(self.frame))
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def count_splits(splits: Iterable[str]) -> dict[str, int]:
    """The number of images in each split that has any, in the order of :data:`SPLITS`."""
    counts = Counter(splits)
    return {split: counts[split] for split in SPLITS if counts[split]}


def make_index(
    columns: Mapping[str, Any],
    captions: Sequence[Sequence[str]],
    labels: npt.NDArray[np.uint8],
    category_ids: tuple[int, ...],
    category_names: tuple[str, ...],
) -> DatasetIndex:
    """Put an index together.

    Args:
        columns: ``image_id``, ``file_name``, ``split``, ``width``, ``height`` and ``bytes``, each
            of length N, in ascending ``image_id``.
        captions: The captions of each of the N images.
        labels: uint8 [N, C].
        category_ids: C ids, ascending.
        category_names: C names.
    """
    frame = pd.DataFrame(
        {
            "image_id": np.asarray(columns["image_id"], dtype=np.int64),
            "file_name": pd.Series(list(columns["file_name"]), dtype="str"),
            "split": pd.Series(list(columns["split"]), dtype="str"),
            "captions": pd.Series([list(texts) for texts in captions], dtype=object),
            "labels": pd.Series(list(labels), dtype=object),
            "width": np.asarray(columns["width"], dtype=np.int32),
            "height": np.asarray(columns["height"], dtype=np.int32),
            "bytes": np.asarray(columns["bytes"], dtype=np.int64),
        }
    )
    return DatasetIndex(frame, category_ids, category_names)


def write_index(path: Path, index: DatasetIndex) -> None:
    """Write the index as Parquet; equal indexes give equal bytes.

    Written through Arrow's own types: pandas' would add its version to the file.
    """
    frame, schema = index.frame, _schema(index.category_ids, index.category_names)
    arrays = {name: pa.array(frame[name], schema.field(name).type) for name in _PLAIN}
    arrays["captions"] = pa.ListArray.from_arrays(
        pa.array(index.caption_offsets(), pa.int32()), pa.array(index.captions(), pa.string())
    )
    arrays["labels"] = pa.FixedSizeListArray.from_arrays(
        pa.array(index.labels().ravel()), len(index.category_ids)
    )
    table = pa.table([arrays[name].cast(schema.field(name).type) for name in schema.names], schema)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_index(path: Path) -> DatasetIndex:
    """Read and check what :func:`write_index` wrote.

    Raises:
        DataError: The file is missing or no Parquet file, a column is missing or of another type,
            or a value breaks a rule of :class:`DatasetIndex`; the message names the column.
    """
    try:
        table = pq.ParquetFile(path).read()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", _REBUILD) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})", _REBUILD) from None
    category_ids, category_names = _read_categories(path, table.schema.metadata or {})
    _check_columns(path, table, _schema(category_ids, category_names))
    lists = table.column("captions").combine_chunks()
    texts = lists.values.to_numpy(zero_copy_only=False).tolist()
    flat = table.column("labels").combine_chunks().flatten().to_numpy()
    index = make_index(
        {name: table.column(name).to_numpy() for name in _PLAIN},
        [texts[begin:end] for begin, end in pairwise(lists.offsets.to_pylist())],
        flat.reshape(table.num_rows, len(category_ids)),
        category_ids,
        category_names,
    )
    _check_values(path, index)
    return index


def _schema(category_ids: tuple[int, ...], category_names: tuple[str, ...]) -> pa.Schema:
    def required(name: str, kind: pa.DataType) -> pa.Field:
        return pa.field(name, kind, nullable=False)

    return pa.schema(
        [
            required("image_id", pa.int64()),
            required("file_name", pa.string()),
            required("split", pa.string()),
            required("captions", pa.list_(required("element", pa.string()))),
            required("labels", pa.list_(required("element", pa.uint8()), len(category_ids))),
            required("width", pa.int32()),
            required("height", pa.int32()),
            required("bytes", pa.int64()),
        ],
        metadata={
            "category_ids": json.dumps(category_ids),
            "category_names": json.dumps(category_names, ensure_ascii=False),
        },
    )


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


def _check_columns(path: Path, table: pa.Table, schema: pa.Schema) -> None:
    for field in schema:
        if field.name not in table.schema.names:
            raise DataError(f"{path}: no column {field.name!r}", _REBUILD)
        found = table.schema.field(field.name)
        if not found.equals(field):
            raise DataError(
                f"{path}: column {field.name!r} is {found.type}, expected {field.type}", _REBUILD
            )


def _check_values(path: Path, index: DatasetIndex) -> None:
    frame = index.frame
    rules = {
        "image_id": bool((np.diff(frame["image_id"].to_numpy()) > 0).all()),
        "split": bool(frame["split"].isin(SPLITS).all()),
        "captions": bool((np.diff(index.caption_offsets()) > 0).all()),
        "labels": bool((index.labels() <= 1).all()),
        "width": bool((frame["width"] > 0).all()),
        "height": bool((frame["height"] > 0).all()),
        # 0 is an empty file: damage, which the embedding pass names with all other damage.
        "bytes": bool((frame["bytes"] >= 0).all()),
    }
    broken = [name for name, holds in rules.items() if not holds]
    if broken:
        raise DataError(f"{path}: values out of range in column {', '.join(broken)}", _REBUILD)
