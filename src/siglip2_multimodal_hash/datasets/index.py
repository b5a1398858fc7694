"""The index of a dataset: one row per image, with its split, captions and labels.

Every stage but `embed`, which takes the items alone, works on it and on nothing else of the dataset
but the pixels. The names of the splits say all that later stages need to know of a protocol:

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

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from siglip2_multimodal_hash.datasets.items import (
    ITEM_FIELDS,
    DatasetItems,
    check_columns,
    check_values,
    columns_of,
    item_columns,
    read_table,
    required,
    write_columns,
)

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


@dataclass(frozen=True, eq=False)
class DatasetIndex(DatasetItems):
    """Items with their splits and labels.

    Attributes:
        frame: That of the items, with ``split`` str (one of :data:`SPLITS`) and ``labels`` uint8
            [C] (multi-hot).
    """

    def labels(self) -> npt.NDArray[np.uint8]:
        """uint8 [N, C], multi-hot."""
        if self.frame.empty:
            return np.zeros((0, len(self.category_ids)), dtype=np.uint8)
        return np.stack(self.frame["labels"].to_list())

    def rows(self, split: EvaluationSplit) -> npt.NDArray[np.int64]:
        """int64 [n], ascending rows of a split; see :data:`.split_file.ROWS_OF`."""
        return np.flatnonzero(self.frame["split"].isin(ROWS_OF[split])).astype(np.int64)


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
    return _with_splits(
        item_columns(columns, captions), columns["split"], labels, category_ids, category_names
    )


def write_index(path: Path, index: DatasetIndex) -> None:
    """Write the index, as :func:`.items.write_columns` does."""
    classes = len(index.category_ids)
    labels = pa.FixedSizeListArray.from_arrays(pa.array(index.labels().ravel()), classes)
    write_columns(path, index, _fields(classes), labels=labels)


def read_index(path: Path) -> DatasetIndex:
    """Read and check what :func:`write_index` wrote.

    Raises:
        DataError: The file is missing or no Parquet file, a column is missing or of another type,
            or a value breaks a rule of :class:`DatasetIndex`; the message names the column.
    """
    table, category_ids, category_names = read_table(path)
    check_columns(path, table, _fields(len(category_ids)))
    flat = table.column("labels").combine_chunks().flatten().to_numpy()
    labels = flat.reshape(table.num_rows, len(category_ids))
    splits = table.column("split").to_numpy()
    index = _with_splits(columns_of(table), splits, labels, category_ids, category_names)
    known = bool(index.frame["split"].isin(SPLITS).all())
    check_values(path, index, split=known, labels=bool((labels <= 1).all()))
    return index


def _fields(classes: int) -> list[pa.Field]:
    labels = required("labels", pa.list_(required("element", pa.uint8()), classes))
    image_id, file_name, captions, *sizes = ITEM_FIELDS
    return [image_id, file_name, required("split", pa.string()), captions, labels, *sizes]


def _with_splits(
    items: dict[str, Any],
    splits: Iterable[str],
    labels: npt.NDArray[np.uint8],
    category_ids: tuple[int, ...],
    category_names: tuple[str, ...],
) -> DatasetIndex:
    added = {
        "split": pd.Series(list(splits), dtype="str"),
        "labels": pd.Series(list(labels), dtype=object),
    }
    return DatasetIndex(pd.DataFrame(items | added), category_ids, category_names)
