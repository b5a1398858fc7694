"""FAISS indexes over the codes of the database: build, save, load.

Codes of bits go into an ``IndexBinaryFlat``; unit vectors (``hash.bits: 0``) into an
``IndexFlatIP``, where the inner product is the cosine. Both are exhaustive, so exact. A JSON file
beside the index says what is in it, with a fingerprint of the codes: an index that was built from
other codes than those it is used with is refused.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.files import read_json, replacing, write_json
from siglip2_multimodal_hash.retrieval.checks import Vectors, check_codes, check_vectors

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class IndexMeta:
    """What an index holds.

    Attributes:
        kind: ``flat``: exhaustive.
        bits: Bits of a code; 0 for unit vectors.
        dim: Dimension of a unit vector; 0 for codes.
        count: Number of items.
        fingerprint: SHA-256 of the codes' dtype, shape and bytes.
    """

    kind: str
    bits: int
    dim: int
    count: int
    fingerprint: str


@dataclass(frozen=True, eq=False)
class CodeIndex:
    """A FAISS index (``IndexBinaryFlat`` or ``IndexFlatIP``) and its description."""

    faiss_index: Any
    meta: IndexMeta


def build_index(codes: npt.NDArray[Any], kind: str = "flat") -> CodeIndex:
    """Index the database.

    Args:
        codes: Packed codes, uint8 [N, bits / 8], or unit vectors, float32 [N, D].
        kind: ``index.kind``: ``flat``, exhaustive.

    Raises:
        DataError: Neither codes nor a finite float matrix, or a vector that is neither of unit
            length nor zero.
        InputError: No item, or an unknown kind.
    """
    if kind != "flat":
        raise InputError(f"index.kind = {kind}: unknown", "set index.kind to flat")
    if len(codes) == 0:
        raise InputError("the database is empty: nothing to index", "give the split more images")
    codes = _checked(codes)
    width = codes.shape[1]
    binary = codes.dtype == np.uint8
    index: Any = faiss.IndexBinaryFlat(width * 8) if binary else faiss.IndexFlatIP(width)
    index.add(codes)
    return CodeIndex(index, _describe(codes))


def save_index(path: Path, index: CodeIndex) -> None:
    """Write the index to ``path`` and its description to ``path`` + ``.json``."""
    write = faiss.write_index_binary if index.meta.bits else faiss.write_index
    with replacing(path) as temporary:
        write(index.faiss_index, str(temporary))
    write_json(meta_path(path), asdict(index.meta))


def load_index(path: Path, codes: npt.NDArray[Any]) -> CodeIndex:
    """Read an index and make sure that it holds exactly ``codes``.

    Args:
        path: Where :func:`save_index` wrote it.
        codes: The database's codes or unit vectors, as for :func:`build_index`.

    Raises:
        DataError: A file is missing or damaged, or the index or its description is of other codes.
    """
    remedy = "run `dvc repro build_faiss_index`"
    raw = read_json(meta_path(path))
    try:
        meta = IndexMeta(**raw)
    except TypeError as error:
        raise DataError(
            f"{meta_path(path)}: not a description of an index ({error})", remedy
        ) from None
    if meta != _describe(_checked(codes)):
        raise DataError(f"{path}: built from other codes than those given: {meta}", remedy)
    if not path.is_file():
        raise DataError(f"{path}: no such file", remedy)
    try:
        index = (faiss.read_index_binary if meta.bits else faiss.read_index)(str(path))
        stored = _stored(index, meta)
    except (RuntimeError, AttributeError, ValueError) as error:
        raise DataError(f"{path}: not a readable FAISS index ({error})", remedy) from None
    if _describe(stored) != meta:
        raise DataError(f"{path}: holds other codes than {meta_path(path).name} says", remedy)
    return CodeIndex(index, meta)


def check_built_from(index: CodeIndex, codes: npt.NDArray[Any]) -> None:
    """Refuse an index over other codes, even where they are as many and as wide.

    Args:
        index: Of a database.
        codes: The codes or unit vectors that it must hold, in its row order.

    Raises:
        DataError: It holds others, by their fingerprint.
    """
    if index.meta.fingerprint != _describe(_checked(codes)).fingerprint:
        raise DataError(
            f"the index was built from other codes than those searched: {index.meta}",
            "run `dvc repro build_faiss_index`",
        )


def meta_path(path: Path) -> Path:
    """Where the description of the index at ``path`` lies."""
    return path.with_name(f"{path.name}.json")


def on_gpu(index: CodeIndex) -> Any:
    """Copy a binary index to the first GPU, or return it as it is where FAISS has no GPU."""
    if not hasattr(faiss, "GpuIndexBinaryFlat") or faiss.get_num_gpus() == 0:
        return index.faiss_index
    return faiss.GpuIndexBinaryFlat(faiss.StandardGpuResources(), index.faiss_index)


def unit_view(index: CodeIndex) -> Vectors:
    """View the unit vectors of an index, float32 [N, D]; valid while the index lives.

    Raises:
        DataError: The index holds codes.
    """
    if index.meta.bits:
        raise DataError("the index holds codes, not vectors", "search it by Hamming distance")
    count, dim = index.meta.count, index.meta.dim
    vectors: Vectors = faiss.rev_swig_ptr(index.faiss_index.get_xb(), count * dim)
    return vectors.reshape(count, dim)


def _describe(codes: npt.NDArray[Any]) -> IndexMeta:
    binary = codes.dtype == np.uint8
    digest = hashlib.sha256(f"{codes.dtype.name} {codes.shape}\n".encode())
    digest.update(np.ascontiguousarray(codes).data)
    return IndexMeta(
        kind="flat",
        bits=codes.shape[1] * 8 if binary else 0,
        dim=0 if binary else codes.shape[1],
        count=len(codes),
        fingerprint=digest.hexdigest(),
    )


def _stored(index: Any, meta: IndexMeta) -> npt.NDArray[Any]:
    """Read the codes or vectors inside a FAISS index."""
    if meta.bits:
        codes: npt.NDArray[Any] = faiss.vector_to_array(index.xb)
        return codes.reshape(index.ntotal, index.d // 8)
    vectors: npt.NDArray[Any] = faiss.vector_to_array(index.codes).view(np.float32)
    return vectors.reshape(index.ntotal, index.d)


def _checked(codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Packed codes as they are, or vectors as float32 of unit length (or zero)."""
    if codes.dtype == np.uint8:
        return check_codes("database codes", codes)
    vectors = check_vectors("database vectors", codes)
    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero((np.abs(norms - 1) > UNIT_TOLERANCE) & (norms != 0))
    if wrong.size:
        raise DataError(
            f"database vectors: row {wrong[0]} has length {norms[wrong[0]]:.4g}, not 1",
            "normalise with retrieval.codes.unit_vectors",
        )
    return vectors
