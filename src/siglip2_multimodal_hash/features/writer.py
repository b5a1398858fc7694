"""Writer: embeddings to memory-mapped ``.npy`` files, one row an item."""

import os
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import load_array

FloatArray = npt.NDArray[np.float32]
StoreDtype = Literal["float32", "float16"]


class ArrayWriter:
    """One array, filled in batches; its file is made when the first batch shows the width.

    Picklable: the copy opens the file that the original made.

    Args:
        path: The ``.npy`` file.
        rows: Rows that it will have.
        dtype: Of its values; ``float16`` takes half the room and keeps 11 bits of each.
    """

    def __init__(self, path: Path, rows: int, dtype: StoreDtype = "float32") -> None:
        self._path = path
        self._dtype = np.dtype(dtype)
        self._array: Any = None
        self.rows = rows
        self.width: int | None = None

    @classmethod
    def reopen(cls, path: Path, rows: int, dtype: StoreDtype = "float32") -> Self:
        """Go on in a file that another writer began.

        Raises:
            DataError: The file is missing or truncated, or no such matrix of so many rows.
        """
        array = load_array(path, memory_map=True)
        if array.ndim != 2 or len(array) != rows or array.dtype != np.dtype(dtype):
            raise DataError(
                f"{path}: {array.dtype} {list(array.shape)}, expected {rows} rows of {dtype}"
            )
        writer = cls(path, rows, dtype)
        writer.width = array.shape[1]
        return writer

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the open file."""
        self.flush()
        return dict(self.__dict__)

    def write(self, rows: npt.NDArray[np.int64], features: FloatArray) -> None:
        """Fill some rows.

        Args:
            rows: int64 [R].
            features: float32 [R, D].

        Raises:
            DataError: A value is NaN or infinite, or too large for the file's type.
        """
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            raise DataError(
                f"{self._path.name}: the tower gave NaN or infinity for row {rows[~finite][0]}",
                "set backbone.amp_dtype to float32, or to bfloat16",
            )
        large = np.abs(features).max(axis=1) > np.finfo(self._dtype).max
        if large.any():
            row = int(np.argmax(large))
            raise DataError(
                f"{self._path.name}: row {rows[row]} holds {np.abs(features[row]).max():.6g}, and "
                f"{self._dtype} ends at {np.finfo(self._dtype).max:.0f}",
                "set backbone.store_dtype to float32",
            )
        if self._array is None:
            mode = "w+" if self.width is None else "r+"
            self.width = features.shape[1]
            self._array = np.lib.format.open_memmap(
                self._path, mode=mode, dtype=self._dtype, shape=(self.rows, self.width)
            )
        self._array[rows] = features

    def flush(self) -> None:
        """Bring what was written to the disk, so that it is there after a power cut, too.

        The file is mapped anew by the next batch: pages that stay mapped count as this process's
        memory, which would grow up to the size of the file.
        """
        if self._array is not None:
            self._array.flush()
            self._array = None
            with self._path.open("rb") as stream:
                os.fsync(stream.fileno())
