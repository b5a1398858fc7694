"""A head's output for every image of a dataset, as files: soft codes, packed codes, scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import check_size, load_array
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing
from siglip2_multimodal_hash.retrieval.codes import binarize
from siglip2_multimodal_hash.retrieval.neighbours import SoftAndPacked


@dataclass(frozen=True, eq=False)
class HeadCodes:
    """N images, in the index's row order.

    Attributes:
        soft: Soft codes float32 [N, bits], or unit vectors float32 [N, D_z] without a hash layer.
        packed: uint8 [N, bits / 8], or None without a hash layer.
        scores: The classifier's, in [0, 1], float32 [N, C]; None for codes without a classifier.
    """

    soft: npt.NDArray[np.float32]
    packed: npt.NDArray[np.uint8] | None
    scores: npt.NDArray[np.float32] | None

    def rows(self, rows: npt.NDArray[np.int64]) -> SoftAndPacked:
        """The codes of some images."""
        packed = None if self.packed is None else self.packed[rows]
        return SoftAndPacked(self.soft[rows], packed)

    def searchable(self) -> npt.NDArray[Any]:
        """The items to index: packed codes, or unit vectors where there are none; [N, ...]."""
        return self.soft if self.packed is None else self.packed


def write_head_codes(
    folder: Path,
    soft: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    *,
    bits: int,
) -> None:
    """Write ``soft.npy``, ``scores.npy`` and, where there are bits, ``packed.npy``: all or none.

    Args:
        folder: Replaced.
        soft: float32 [N, bits], or unit vectors float32 [N, D_z] where ``bits`` is 0.
        scores: float32 [N, C].
        bits: ``hash.bits``.
    """
    check_size("rows of the soft codes", len(soft), "of the scores", len(scores))
    arrays: dict[str, npt.NDArray[Any]] = {"soft": soft, "scores": scores}
    if bits:
        arrays["packed"] = binarize(soft)
    with replacing(folder) as temporary:
        temporary.mkdir()
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)


def read_head_codes(folder: Path) -> HeadCodes:
    """Read what :func:`write_head_codes` wrote.

    Raises:
        DataError: A file is missing or damaged, or the lengths differ.
    """
    soft, scores = (load_array(folder / f"{name}.npy") for name in ("soft", "scores"))
    path = folder / "packed.npy"
    packed = load_array(path) if path.exists() else None
    lengths = {len(array) for array in (soft, scores, packed) if array is not None}
    if len(lengths) != 1:
        raise DataError(
            f"{folder}: arrays of different lengths {sorted(lengths)}", "run `dvc repro`"
        )
    return HeadCodes(soft, packed, scores)
