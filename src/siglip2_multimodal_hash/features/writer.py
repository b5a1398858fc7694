"""Writer: embeddings to memory-mapped ``.npy`` files, one row an item."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError

FloatArray = npt.NDArray[np.float32]


class ArrayWriter:
    """One float32 array, filled in batches; its file is made when the first batch shows the width.

    Args:
        path: The ``.npy`` file.
        rows: Rows that it will have.
        what: What a row is, for messages.
    """

    def __init__(self, path: Path, rows: int, what: str) -> None:
        self._path = path
        self._rows = rows
        self._what = what
        self._array: np.memmap[tuple[int, ...], np.dtype[np.float32]] | None = None

    def write(self, rows: slice | npt.NDArray[np.int64], features: FloatArray) -> None:
        """Fill some rows.

        Raises:
            DataError: A value is NaN or infinite.
        """
        if not np.isfinite(features).all():
            raise DataError(
                f"{self._path.name}: the tower gave NaN or infinity for a batch of {self._what}s",
                "set backbone.amp_dtype to float32 (or to bfloat16)",
            )
        if self._array is None:
            self._array = np.lib.format.open_memmap(
                self._path, mode="w+", dtype=np.float32, shape=(self._rows, features.shape[1])
            )
        self._array[rows] = features

    @property
    def width(self) -> int:
        """D, once a batch is written."""
        return 0 if self._array is None else self._array.shape[1]

    def close(self) -> None:
        """Flush to disk."""
        if self._array is not None:
            self._array.flush()
