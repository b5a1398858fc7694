"""The objects behind the labels: which category on which image, and how large.

Kept beside the index, which needs none of it: one row per object, in Parquet.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing

_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.int64(), nullable=False),
        pa.field("category_id", pa.int64(), nullable=False),
        pa.field("area", pa.float64(), nullable=False),
    ]
)
_REBUILD = "run `dvc repro build_dataset_index`"


@dataclass(frozen=True, eq=False)
class ObjectSizes:
    """O annotated objects whose size is known, in ascending image id.

    Attributes:
        image_ids: int64 [O].
        category_ids: int64 [O].
        areas: Pixels that the object covers, as COCO's ``area`` says; float64 [O].
    """

    image_ids: npt.NDArray[np.int64]
    category_ids: npt.NDArray[np.int64]
    areas: npt.NDArray[np.float64]

    def of_images(self, image_ids: npt.NDArray[np.int64]) -> "ObjectSizes":
        """Keep the objects of some images."""
        keep = np.isin(self.image_ids, image_ids)
        return ObjectSizes(self.image_ids[keep], self.category_ids[keep], self.areas[keep])

    @classmethod
    def none(cls) -> Self:
        """Empty table, for datasets without object sizes."""
        ids = np.zeros(0, dtype=np.int64)
        return cls(ids, ids, np.zeros(0))


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of the image that objects cover, 0 to 1; NaN where no size is known.

    Attributes:
        largest: The largest object of each class, float64 [Q, C].
        smallest: The smallest object of the image, float64 [Q].
        median: The median object of the image, float64 [Q].
    """

    largest: npt.NDArray[np.float64]
    smallest: npt.NDArray[np.float64]
    median: npt.NDArray[np.float64]


def object_shares(sizes: ObjectSizes, dataset: DatasetIndex, rows: npt.NDArray[np.int64]) -> Shares:
    """Compute the share of each image that its objects cover.

    Args:
        sizes: Objects of the dataset; those of other images are not looked at.
        dataset: The index.
        rows: Q rows of it, ascending.
    """
    frame = dataset.frame.iloc[rows]
    ids = frame["image_id"].to_numpy()
    known = sizes.of_images(ids)
    image = np.searchsorted(ids, known.image_ids)
    column = np.searchsorted(dataset.category_ids, known.category_ids)
    pixels = frame["width"].to_numpy(np.float64) * frame["height"].to_numpy(np.float64)
    shares = known.areas / pixels[image]
    largest = np.full((len(rows), len(dataset.category_ids)), -np.inf)
    np.maximum.at(largest, (image, column), shares)
    smallest, median = np.full((2, len(rows)), np.nan)
    order = np.lexsort((shares, image))
    ranked = shares[order]
    starts = np.searchsorted(image[order], np.arange(len(rows) + 1))
    for row in np.flatnonzero(np.diff(starts)):
        objects = ranked[starts[row] : starts[row + 1]]
        smallest[row], median[row] = objects[0], np.median(objects)
    return Shares(np.where(np.isfinite(largest), largest, np.nan), smallest, median)


def write_object_sizes(path: Path, sizes: ObjectSizes) -> None:
    """Write the objects as Parquet; equal objects give equal bytes."""
    columns = (sizes.image_ids, sizes.category_ids, sizes.areas)
    table = pa.table([pa.array(values) for values in columns], schema=_SCHEMA)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_object_sizes(path: Path) -> ObjectSizes:
    """Read and check what :func:`write_object_sizes` wrote.

    Raises:
        DataError: The file is missing, no Parquet file, or holds other columns or bad values.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", _REBUILD) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})", _REBUILD) from None
    if not table.schema.equals(_SCHEMA):
        raise DataError(f"{path}: other columns than {', '.join(_SCHEMA.names)}", _REBUILD)
    sizes = ObjectSizes(*(table.column(name).to_numpy() for name in _SCHEMA.names))
    if (np.diff(sizes.image_ids) < 0).any() or not (
        np.isfinite(sizes.areas).all() and (sizes.areas >= 0).all()
    ):
        raise DataError(f"{path}: image ids do not ascend, or an area is no area", _REBUILD)
    return sizes
