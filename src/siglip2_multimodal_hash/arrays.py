"""Arrays: their ``.npy`` files, and the checks where they enter: bad input is refused by name."""

import tokenize
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing

Codes = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Scores = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]

# The header of an array is a Python literal: a damaged one fails in the tokenizer or the parser.
_DAMAGED = (ValueError, EOFError, OSError, SyntaxError, TypeError, tokenize.TokenError)


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write one ``.npy`` file, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def load_array(
    path: Path, *, memory_map: bool = False, remedy: str = "run `dvc repro`"
) -> npt.NDArray[Any]:
    """Read one ``.npy`` file.

    Args:
        path: The file.
        memory_map: Map it read-only instead of reading it into memory.
        remedy: Advice where it cannot be read.

    Raises:
        DataError: The file is missing, damaged, no ``.npy`` file, or holds Python objects.
    """
    try:
        mode: Literal["r"] | None = "r" if memory_map else None
        array = np.load(path, mmap_mode=mode, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", remedy) from None
    except _DAMAGED as error:
        raise DataError(f"{path}: not a readable .npy array ({error})", remedy) from None
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: an archive, not a .npy array", remedy)
    return array


def check_codes(name: str, codes: npt.NDArray[Any]) -> Codes:
    """Return ``codes`` as C-contiguous packed bytes, uint8 [N, bits / 8].

    Raises:
        DataError: Another dtype, another number of axes, or no column.
    """
    if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] == 0:
        raise DataError(
            f"{name}: {codes.dtype} of shape {codes.shape}, expected packed codes, "
            "uint8 [N, bits / 8]",
            "pack with retrieval.codes.binarize",
        )
    return np.ascontiguousarray(codes)


def check_size(what: str, found: object, of_what: str, expected: object) -> None:
    """Refuse two sizes that must agree.

    Raises:
        DataError: They differ; the message gives both.
    """
    if found != expected:
        raise DataError(
            f"{what}: {found}, {of_what}: {expected}",
            "both must come from the same model and the same images: run `dvc repro`",
        )


def check_vectors(name: str, vectors: npt.NDArray[Any]) -> Vectors:
    """Return ``vectors`` as C-contiguous float32 [N, D], all finite.

    Raises:
        DataError: Not a float matrix, no column, NaN or infinity.
    """
    if not np.issubdtype(vectors.dtype, np.floating) or vectors.ndim != 2 or vectors.shape[1] == 0:
        raise DataError(
            f"{name}: {vectors.dtype} of shape {vectors.shape}, expected a float matrix [N, D]"
        )
    _check_finite(name, vectors)
    return np.ascontiguousarray(vectors, dtype=np.float32)


def check_labels(name: str, labels: npt.NDArray[Any]) -> Labels:
    """Return multi-hot ``labels`` as C-contiguous uint8 [N, C].

    Raises:
        DataError: Not a matrix of at least one column, or a value other than 0 and 1.
    """
    if labels.ndim != 2 or labels.shape[1] == 0:
        raise DataError(f"{name}: shape {labels.shape}, expected multi-hot labels [N, C]")
    if not np.all((labels == 0) | (labels == 1)):
        bad = labels[(labels != 0) & (labels != 1)][0]
        raise DataError(f"{name} holds {bad}: labels are 0 or 1")
    return np.ascontiguousarray(labels, dtype=np.uint8)


def check_scores(
    name: str, scores: npt.NDArray[Any], labels_name: str, labels: npt.NDArray[Any]
) -> Floats:
    """Return ``scores`` as C-contiguous float64 of the shape of ``labels``.

    float64 holds every float32 exactly, so scores tie there just when they tie here.

    Raises:
        DataError: Not a float matrix, another shape than ``labels``, NaN or infinity, or no row.
    """
    if not np.issubdtype(scores.dtype, np.floating) or scores.ndim != 2:
        raise DataError(
            f"{name}: {scores.dtype} of shape {scores.shape}, expected a float matrix [N, C]"
        )
    if scores.shape != labels.shape:
        raise DataError(
            f"{name} has shape {scores.shape}, {labels_name} has {labels.shape}",
            "both must cover the same images and classes; run `dvc repro`",
        )
    if scores.size == 0:
        raise DataError(f"{name} is empty: no image to evaluate", "give the split more images")
    _check_finite(name, scores)
    return np.ascontiguousarray(scores, dtype=np.float64)


def check_unit_interval(name: str, scores: npt.NDArray[np.floating[Any]]) -> None:
    """Refuse scores outside 0 to 1.

    Raises:
        DataError: A score is less than 0, more than 1, or NaN; the message gives the range.
    """
    low, high = scores.min(), scores.max()
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"{name}: from {low:.6g} to {high:.6g}, expected from 0 to 1",
            "the values must come from a sigmoid, a vote or a mapped cosine",
        )


def check_positives(name: str, found: bool) -> None:
    """Refuse a split in which nothing is to be found.

    Raises:
        DataError: None was found.
    """
    if not found:
        raise DataError(
            f"{name}: no class has a positive, so no figure is defined",
            "give the split more images",
        )


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """Divide element by element, with 0 where ``whole`` is 0."""
    parts, wholes = np.broadcast_arrays(part, whole)
    found: Floats = np.divide(parts, wholes, out=np.zeros(parts.shape), where=wholes > 0)
    return found


def first_nonfinite_row(array: npt.NDArray[Any]) -> int | None:
    """The first row of a matrix that holds NaN or infinity; None where all are finite."""
    finite = np.isfinite(array).all(axis=1)
    return None if finite.all() else int(np.argmin(finite))


def _check_finite(name: str, array: npt.NDArray[Any]) -> None:
    row = first_nonfinite_row(array)
    if row is not None:
        raise DataError(
            f"{name} holds NaN or infinity (first in row {row})",
            "the training may have diverged: lower optimizer.lr, or look at its loss",
        )
