"""Writer: embeddings to memory-mapped ``.npy`` files, one row per item, shard by shard."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Vectors, first_nonfinite_row, load_array
from siglip2_multimodal_hash.errors import DataError, explained_disk
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.files import size_text
from siglip2_multimodal_hash.params import StoreDtype
from siglip2_multimodal_hash.resume import DISK_REMEDY, Unfinished, unfinished

ARRAYS = {"images": store.IMAGE, "captions": store.CAPTION}


class UnfinishedEmbeddings:
    """The arrays on their way, and how many whole batches of each are in them.

    What is not counted is computed again, in the same batches, so the result is that of a run
    without a break. Made by :func:`unfinished_embeddings`.

    Attributes:
        folder: The folder of the output's files.
        done: Whole batches on the disk, of ``images`` and of ``captions``.
        writers: One for each of the two.
    """

    def __init__(
        self,
        work: Unfinished,
        rows: Mapping[str, int],
        batches: Mapping[str, int],
        dtype: StoreDtype,
    ) -> None:
        self._work = work
        self._batches = batches
        self.folder = work.folder
        self.done = dict.fromkeys(ARRAYS, 0)
        self.writers = {
            unit: ArrayWriter(self.folder / name, rows[unit], dtype)
            for unit, name in ARRAYS.items()
        }

        def reopened(done: dict[str, int]) -> tuple[dict[str, int], dict[str, ArrayWriter]]:
            return done, {
                unit: ArrayWriter.reopen(self.folder / name, rows[unit], dtype)
                for unit, name in ARRAYS.items()
                if done[unit]
            }

        if found := work.restore(reopened):
            self.done, writers = found
            self.writers |= writers

    def record(self, unit: str, batches: int) -> None:
        """Bring the rows to the disk; from then on these batches are not computed again.

        Raises:
            DataError: The disk is full or the folder cannot be written.
        """
        with explained_disk(self.folder, DISK_REMEDY):
            self.writers[unit].flush()
        done = self.done | {unit: batches}
        images, captions = (f"{done[unit]} of {self._batches[unit]}" for unit in ARRAYS)
        self._work.record(
            f"{images} batches of images and {captions} of captions",
            done,
            growing=[f"{self.folder.name}/{name}" for unit, name in ARRAYS.items() if done[unit]],
        )
        self.done = done

    def complete(self) -> None:
        """Turn the folder, in which everything is now, into the output."""
        self._work.complete()


@contextmanager
def unfinished_embeddings(
    target: Path,
    fingerprint: Mapping[str, Any],
    rows: Mapping[str, int],
    batches: Mapping[str, int],
    dtype: StoreDtype = "float32",
) -> Iterator[UnfinishedEmbeddings]:
    """Open the unfinished embeddings beside ``target``, or begin them.

    Args:
        target: The folder of the output.
        fingerprint: See :func:`.meta.fingerprint`; work of another one is discarded.
        rows: Of the array of ``images`` and of ``captions``.
        batches: Number of batches of each.
        dtype: Of the arrays' values.

    Raises:
        DataError: Another process is at it.
    """
    with unfinished(target, fingerprint) as work:
        yield UnfinishedEmbeddings(work, rows, batches, dtype)


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

    def write(self, rows: npt.NDArray[np.int64], features: Vectors) -> None:
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
        needs = f"{self._path.name} needs {size_text(needed)}"
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

        The file is mapped again by the next batch: pages that stay mapped count as this process's
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
        # Not every system can (macOS), nor every file system: then check that there is room.
        if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        if shutil.disk_usage(file).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        os.ftruncate(file, start + size)
