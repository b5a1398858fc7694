"""Matrices of features as they come: one ``.npy`` file or several, memory-mapped, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Vectors, load_array
from siglip2_multimodal_hash.errors import DataError

_FLOAT_BYTES = (2, 4, 8)
_SAVE_AGAIN = (
    "save it again as a matrix of float16, float32 or float64, one row per item: "
    "np.save(path, array, allow_pickle=False)"
)


@dataclass(frozen=True, eq=False)
class Matrix:
    """R rows of width D in one or more files, in their order.

    Attributes:
        paths: The files.
        parts: Their content, memory-mapped: floating point [R_i, D].
    """

    paths: tuple[Path, ...]
    parts: tuple[npt.NDArray[Any], ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def width(self) -> int:
        """D."""
        width: int = self.parts[0].shape[1]
        return width

    @property
    def dtype(self) -> str:
        """Name of the values' type, such as ``float16``; the widest where files differ."""
        return max((part.dtype for part in self.parts), key=lambda kind: kind.itemsize).name

    def take(self, rows: npt.NDArray[np.int64]) -> Vectors:
        """Some rows, float32 [n, D]; what float32 cannot hold becomes infinite.

        Args:
            rows: int64 [n], in any order.
        """
        taken = np.empty((len(rows), self.width), dtype=np.float32)
        part_of, local = self._places(rows)
        with np.errstate(over="ignore"):
            for number in np.unique(part_of):
                here = part_of == number
                taken[here] = self.parts[number][local[here]]
        return taken

    def place(self, row: int) -> str:
        """File and number of a row, for messages: ``img_emb_1.npy: row 17``."""
        part_of, local = self._places(np.array([row]))
        return f"{self.paths[part_of[0]]}: row {local[0]}"

    def _places(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        ends = np.cumsum([len(part) for part in self.parts])
        part_of = np.searchsorted(ends, rows, side="right")
        starts = np.concatenate([[0], ends[:-1]])
        return part_of, rows - starts[part_of]


def open_matrix(paths: Sequence[Path]) -> Matrix:
    """Map the files of one matrix; their values are not read.

    Raises:
        DataError: A file is missing or damaged, holds Python objects or anything else but a matrix
            of float16, float32 or float64, or the files differ in width.
    """
    parts = [load_array(path, memory_map=True, remedy=_SAVE_AGAIN) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.ndim != 2 or part.shape[1] < 1:
            raise DataError(
                f"{path}: shape {list(part.shape)}, expected a matrix, one row per item",
                _SAVE_AGAIN,
            )
        if part.dtype.kind != "f" or part.dtype.itemsize not in _FLOAT_BYTES:
            raise DataError(
                f"{path}: dtype {part.dtype}, expected float16, float32 or float64", _SAVE_AGAIN
            )
        if part.shape[1] != parts[0].shape[1]:
            raise DataError(
                f"{path}: {part.shape[1]} dimensions, but {paths[0].name} has {parts[0].shape[1]}",
                "the files are not of one tower: put each tower's into a folder of its own",
            )
    return Matrix(tuple(paths), tuple(parts))
