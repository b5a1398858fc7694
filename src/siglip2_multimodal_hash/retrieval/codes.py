"""Binary codes: packing, unpacking and Hamming distances.

A code of ``bits`` bits is ``bits / 8`` bytes in the bit order of :func:`numpy.packbits`, which is
what FAISS binary indexes take. Bit = 1 where the soft code is positive, so 0 maps to bit 0: there
is no third state.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Codes, Vectors, check_codes, check_size, check_vectors
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import code_bytes

Words = npt.NDArray[np.uint64]
Distances = npt.NDArray[np.uint16]

WORD_BYTES = 8
# Rows held in float64 at a time.
BLOCK_ROWS = 4096


def binarize(soft: npt.NDArray[Any]) -> Codes:
    """Pack the signs of soft codes.

    Args:
        soft: float [N, bits].

    Returns:
        uint8 [N, bits / 8]; bit = 1 where ``soft > 0``.

    Raises:
        ParamsError: ``bits`` is not a multiple of 8.
        DataError: NaN or infinity, or not a float matrix.
    """
    soft = check_vectors("soft codes", soft)
    code_bytes(soft.shape[1])  # refuses a width that is no whole number of bytes
    return np.packbits(soft > 0, axis=1)


def unpack(packed: npt.NDArray[Any], bits: int | None = None) -> npt.NDArray[np.uint8]:
    """Unpack codes to uint8 [N, bits] of 0 and 1.

    Args:
        packed: uint8 [N, bits / 8].
        bits: The width that is expected; unchecked where it is None.

    Raises:
        DataError: Not packed codes, or not of the expected width.
    """
    packed = check_codes("codes", packed)
    width = packed.shape[1] * 8
    if bits is not None and bits != width:
        raise DataError(f"codes have {width} bits, expected hash.bits = {bits}", "run `dvc repro`")
    return np.unpackbits(packed, axis=1)


def as_words(packed: Codes) -> Words:
    """Packed bytes as columns of 64-bit words, uint64 [ceil(bits / 64), N], padded by zeros.

    One XOR and one popcount then cover 64 bits of every item.
    """
    rows, width = packed.shape
    words = -(-width // WORD_BYTES)
    padded = np.zeros((rows, words * WORD_BYTES), dtype=np.uint8)
    padded[:, :width] = packed
    return np.ascontiguousarray(padded.view(np.uint64).T)


def distances_to_all(query: Words, database: Words) -> Distances:
    """Hamming distances of one query to every item, uint16 [N].

    Args:
        query: The words of one code, uint64 [W].
        database: The words of the items, uint64 [W, N]; see :func:`as_words`.
    """
    total: Distances = np.bitwise_count(database[0] ^ query[0]).astype(np.uint16)
    for word, mask in zip(database[1:], query[1:], strict=True):
        total += np.bitwise_count(word ^ mask)
    return total


def hamming_distances(queries: npt.NDArray[Any], database: npt.NDArray[Any]) -> Distances:
    """All Hamming distances between two sets of codes.

    Args:
        queries: uint8 [Q, bits / 8].
        database: uint8 [N, bits / 8].

    Returns:
        uint16 [Q, N]. Beside it, memory is O(N).

    Raises:
        DataError: Not packed codes, or the widths differ.
    """
    queries, database = check_codes("query codes", queries), check_codes("database codes", database)
    check_size(
        "bits of the query codes",
        queries.shape[1] * 8,
        "of the database codes",
        database.shape[1] * 8,
    )
    query_words, database_words = as_words(queries), as_words(database)
    distances = np.empty((len(queries), len(database)), dtype=np.uint16)
    for row in range(len(queries)):
        distances[row] = distances_to_all(query_words[:, row], database_words)
    return distances


def unit_vectors(vectors: npt.NDArray[Any]) -> Vectors:
    """L2-normalise each row, float32 [N, D].

    The norm is taken in float64, so that a row's result does not depend on the other rows. A row
    of zeros stays zero: its cosine with everything is 0. No element is -0.0, so that equal rows
    have equal bytes.

    Raises:
        DataError: NaN or infinity, or not a float matrix.
    """
    vectors = check_vectors("vectors", vectors)
    units = np.empty_like(vectors)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS].astype(np.float64)
        norms = np.sqrt(np.square(block).sum(axis=1, keepdims=True))
        norms[norms == 0] = 1
        units[start : start + BLOCK_ROWS] = block / norms + 0.0
    return units
