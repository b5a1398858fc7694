"""Put the rows of a matrix into the order of the index, checked, in chunks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash import errors
from siglip2_multimodal_hash.arrays import first_nonfinite_row
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.imported.matrices import Matrix
from siglip2_multimodal_hash.features.lengths import Lengths, require_computable
from siglip2_multimodal_hash.features.store import CHUNK


def write_matrix(path: Path, matrix: Matrix, rows: npt.NDArray[np.int64]) -> Lengths:
    """Write some rows of a matrix as a float32 ``.npy`` file, O(chunk) in memory.

    Args:
        path: The file.
        matrix: Features as they came.
        rows: int64 [n], at least one.

    Raises:
        DataError: A row holds NaN, infinity or a value beyond float32, is all zeros, or too long
            for :mod:`..lengths`.
        InputError: The disk is full or cannot be written.
    """
    least, most = np.inf, 0.0
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
        "fortran_order": False,
        "shape": (len(rows), matrix.width),
    }
    with explained_disk(path), path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            values = matrix.take(chunk)
            _require_finite(matrix, chunk, values)
            lengths = np.linalg.norm(values.astype(np.float64), axis=1)
            if not lengths.all():
                raise DataError(
                    f"{matrix.place(int(chunk[np.argmin(lengths)]))} is all zeros: it has no "
                    "direction",
                    "compute the features of that item again",
                )
            longest = int(np.argmax(lengths))
            require_computable(matrix.place(int(chunk[longest])), Lengths(0, lengths[longest]))
            least, most = min(least, float(lengths.min())), max(most, float(lengths.max()))
            stream.write(values.tobytes())
    return Lengths(least, most)


@contextmanager
def explained_disk(path: Path) -> Iterator[None]:
    """Turn a failure of the disk into a message.

    Raises:
        InputError: The disk is full or cannot be written.
    """
    with errors.explained_disk(path.parent, "free some space, or choose another folder"):
        yield


def _require_finite(
    matrix: Matrix, rows: npt.NDArray[np.int64], values: npt.NDArray[np.float32]
) -> None:
    bad = first_nonfinite_row(values)
    if bad is not None:
        raise DataError(
            f"{matrix.place(int(rows[bad]))} holds NaN, infinity or a value beyond float32",
            "compute the features of that item again, in float32",
        )
