"""FAISS indexes over the codes of the database: build, save, load.

Codes of bits go into an ``IndexBinary...``, unit vectors (``hash.bits: 0``) into an ``Index...``
with the inner product, which is the cosine; see :mod:`.index_kinds` for the kinds. A JSON file
next to the index describes it, with a fingerprint of the codes: an index that was built from
other codes than those it is used with, or with other parameters, is refused.
"""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Vectors, check_codes, check_vectors
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.files import read_json, replacing, write_json
from siglip2_multimodal_hash.params import Flat, Hnsw
from siglip2_multimodal_hash.retrieval.faiss_indexes import (
    kind_inside,
    make_faiss_index,
    stored_codes,
    vectors_of,
)
from siglip2_multimodal_hash.retrieval.groups import Groups
from siglip2_multimodal_hash.retrieval.index_kinds import Kind, name_of, resolved

UNIT_TOLERANCE = 1e-3
REMEDY = "run `dvc repro build_faiss_index`"


@dataclass(frozen=True)
class IndexMeta:
    """The content of an index.

    Attributes:
        kind: ``index.kind``.
        bits: Bits of a code; 0 for unit vectors.
        dim: Dimension of a unit vector; 0 for codes.
        count: Number of items.
        fingerprint: SHA-256 of the codes' dtype, shape and bytes.
        parameters: Of the kind, resolved; ``flat`` has none, and none in its file.
    """

    kind: str
    bits: int
    dim: int
    count: int
    fingerprint: str
    parameters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CodeIndex:
    """A FAISS index and its description.

    Attributes:
        faiss_index: See :mod:`.faiss_indexes`.
        meta: Description of its content.
        kind: As it was asked for, to build an index over other items in the same way.
        groups: Of equal codes, where the index holds each code once.
        vectors: The unit vectors, where the index does not hold them in one piece; [N, D].
    """

    faiss_index: Any
    meta: IndexMeta
    kind: Kind
    groups: Groups | None = None
    vectors: Vectors | None = None


def build_index(codes: npt.NDArray[Any], kind: Kind | None = None) -> CodeIndex:
    """Index the database.

    Args:
        codes: Packed codes, uint8 [N, bits / 8], or unit vectors, float32 [N, D].
        kind: Kind of the index; None is ``Flat()``, exhaustive.

    Raises:
        DataError: Neither codes nor a finite float matrix, or a vector that is neither of unit
            length nor zero.
        InputError: No item, or not enough of them for the parameters of the kind.
    """
    kind = kind or Flat()
    if len(codes) == 0:
        raise InputError("the database is empty: nothing to index", "give the split more images")
    codes = _checked(codes)
    meta = _describe(codes, kind)
    groups = _groups(codes, kind)
    index = make_faiss_index(
        codes if groups is None else codes[groups.first_rows()],
        resolved(kind, meta.count, meta.bits),
    )
    return CodeIndex(index, meta, kind, groups, _own_vectors(codes, kind))


def save_index(path: Path, index: CodeIndex) -> None:
    """Write the index to ``path`` and its description to ``path`` + ``.json``."""
    write = faiss.write_index_binary if index.meta.bits else faiss.write_index
    with replacing(path) as temporary:
        write(index.faiss_index, str(temporary))
    description = asdict(index.meta)
    if not index.meta.parameters:
        del description["parameters"]
    write_json(meta_path(path), description)


def load_index(path: Path, codes: npt.NDArray[Any], kind: Kind | None = None) -> CodeIndex:
    """Read an index and make sure that it holds exactly ``codes``, in the way of ``kind``.

    Args:
        path: File that :func:`save_index` wrote.
        codes: The database's codes or unit vectors, as for :func:`build_index`.
        kind: As for :func:`build_index`.

    Raises:
        DataError: A file is missing or damaged, or the index or its description is of other codes
            or parameters.
        InputError: See :func:`build_index`.
    """
    kind = kind or Flat()
    raw = read_json(meta_path(path))
    try:
        meta = IndexMeta(**raw)
    except TypeError as error:
        raise DataError(
            f"{meta_path(path)}: not a description of an index ({error})", REMEDY
        ) from None
    codes = _checked(codes)
    expected = _describe(codes, kind)
    if _of_items(meta) != _of_items(expected):
        raise DataError(f"{path}: built from other codes than those given: {meta}", REMEDY)
    if meta != expected:
        raise DataError(
            f"{path}: built as index.kind = {meta.kind} {meta.parameters}, not as "
            f"{expected.kind} {expected.parameters}",
            REMEDY,
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file", REMEDY)
    groups = _groups(codes, kind)
    index = _read(path, meta, codes if groups is None else codes[groups.first_rows()])
    return CodeIndex(index, meta, kind, groups, _own_vectors(codes, kind))


def check_built_from(index: CodeIndex, codes: npt.NDArray[Any]) -> None:
    """Refuse an index over other codes, even where they are as many and as wide.

    Args:
        index: Of a database.
        codes: The codes or unit vectors that it must hold, in its row order.

    Raises:
        DataError: It holds others, by their fingerprint.
    """
    if index.meta.fingerprint != _describe(_checked(codes), index.kind).fingerprint:
        raise DataError(
            f"the index was built from other codes than those searched: {index.meta}",
            "run `dvc repro build_faiss_index`",
        )


def meta_path(path: Path) -> Path:
    """The path of the description of the index at ``path``."""
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
    return vectors_of(index.faiss_index) if index.vectors is None else index.vectors


def _read(path: Path, meta: IndexMeta, items: npt.NDArray[Any]) -> Any:
    """Read a FAISS index that must hold ``items`` with the parameters of ``meta``."""
    try:
        index = (faiss.read_index_binary if meta.bits else faiss.read_index)(str(path))
        stored, kind = stored_codes(index, binary=bool(meta.bits)), kind_inside(index)
    except (RuntimeError, AttributeError, ValueError) as error:
        raise DataError(f"{path}: not a readable FAISS index ({error})", REMEDY) from None
    if kind is None or (name_of(kind), kind.model_dump()) != (meta.kind, meta.parameters):
        raise DataError(f"{path}: is {kind!r}, not as in {meta_path(path).name}", REMEDY)
    if stored.shape != items.shape or stored.tobytes() != items.tobytes():
        raise DataError(f"{path}: holds other codes than {meta_path(path).name} describes", REMEDY)
    return index


def _groups(codes: npt.NDArray[Any], kind: Kind) -> Groups | None:
    return Groups.of(codes) if isinstance(kind, Hnsw) and codes.dtype == np.uint8 else None


def _own_vectors(codes: npt.NDArray[Any], kind: Kind) -> Vectors | None:
    return None if isinstance(kind, Flat) or codes.dtype == np.uint8 else codes


def _of_items(meta: IndexMeta) -> tuple[int, int, int, str]:
    return meta.bits, meta.dim, meta.count, meta.fingerprint


def _describe(codes: npt.NDArray[Any], kind: Kind) -> IndexMeta:
    binary = codes.dtype == np.uint8
    digest = hashlib.sha256(f"{codes.dtype.name} {codes.shape}\n".encode())
    digest.update(np.ascontiguousarray(codes).data)
    bits = codes.shape[1] * 8 if binary else 0
    return IndexMeta(
        kind=name_of(kind),
        bits=bits,
        dim=0 if binary else codes.shape[1],
        count=len(codes),
        fingerprint=digest.hexdigest(),
        parameters=resolved(kind, len(codes), bits).model_dump(),
    )


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
