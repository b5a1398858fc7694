"""Writer: embeddings to memory-mapped ``.npy`` files, one row an item."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import first_nonfinite_row, load_array
from siglip2_multimodal_hash.datasets.acquisition.disk import readable
from siglip2_multimodal_hash.errors import DataError, explained_disk
from siglip2_multimodal_hash.params import StoreDtype

FloatArray = npt.NDArray[np.float32]

DISK_REMEDY = (
    "make room on that disk, or check the folder's rights, and run again: it goes on after the "
    "last whole shard"
)


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
            DataError: A value is NaN or infinite, or too large for the file's type; or the disk
                has no room for all rows, which is seen before the first is written.
        """
        bad = first_nonfinite_row(features)
        if bad is not None:
            raise DataError(
                f"{self._path.name}: the tower gave NaN or infinity for row {rows[bad]}",
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
            if self.width is None:
                self._create(features.shape[1])
            self._array = np.lib.format.open_memmap(self._path, mode="r+")
        self._array[rows] = features

    def _create(self, width: int) -> None:
        """Make the file with room for all rows: a mapped page without any ends the process."""
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.rows, width),
        }
        needed = self.rows * width * self._dtype.itemsize
        needs = f"{self._path.name} needs {readable(needed)}"
        with explained_disk(self._path.parent, DISK_REMEDY, needs):
            try:
                with self._path.open("wb") as stream:
                    np.lib.format.write_array_header_1_0(stream, header)
                    _reserve(stream.fileno(), stream.tell(), needed)
            except OSError:
                self._path.unlink(missing_ok=True)
                raise
        self.width = width

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


def _reserve(file: int, start: int, size: int) -> None:
    """Give an open file ``size`` bytes from ``start`` on, on the disk and not in name alone.

    Raises:
        OSError: The disk is full.
    """
    if size == 0:
        return
    try:
        os.posix_fallocate(file, start, size)
    except (AttributeError, OSError) as error:
        # Not every system can (macOS), nor every file system: then look whether there is room.
        if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        if shutil.disk_usage(file).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        os.ftruncate(file, start + size)
