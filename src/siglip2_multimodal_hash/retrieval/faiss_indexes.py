"""FAISS objects of each kind of index: make, and look inside.

Everything that FAISS draws at random has its fixed seeds, and all is built by one thread: with
more, the graph of an HNSW index depends on which of them comes first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from faiss.contrib import inspect_tools

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.params import Flat, Hnsw, Ivf, Multihash
from siglip2_multimodal_hash.retrieval.index_kinds import Kind

# Items per cluster that k-means looks at; it costs clusters x clusters x this.
POINTS_PER_CLUSTER = 64

INNER_PRODUCT = faiss.METRIC_INNER_PRODUCT


def make_faiss_index(codes: npt.NDArray[Any], kind: Kind) -> Any:
    """Build the index over packed codes, uint8 [N, bits / 8], or unit vectors, float32 [N, D].

    Args:
        codes: C-contiguous.
        kind: Resolved; see :func:`.index_kinds.resolved`.
    """
    binary = codes.dtype == np.uint8
    with one_thread():
        index = _empty_binary(codes, kind) if binary else _empty_float(codes, kind)
        if isinstance(kind, Ivf):
            index.cp.max_points_per_centroid = POINTS_PER_CLUSTER
            # Else FAISS complains on standard error about few items per cluster.
            index.cp.min_points_per_centroid = 1
            index.train(codes)
            index.nprobe = kind.nprobe
        elif isinstance(kind, Hnsw):
            index.hnsw.efConstruction = kind.ef_construction
            index.hnsw.efSearch = kind.ef_search
        elif isinstance(kind, Multihash):
            index.nflip = kind.nflip
        if isinstance(kind, Ivf) and binary:
            _add_to_first_clusters(index, codes)
        else:
            index.add(codes)
    return index


def kind_inside(index: Any) -> Kind | None:
    """The kind and parameters that a FAISS object has itself; None for any other class."""
    if isinstance(index, (faiss.IndexBinaryFlat, faiss.IndexFlatIP)):
        return Flat()
    if isinstance(index, (faiss.IndexBinaryIVF, faiss.IndexIVFFlat)):
        return Ivf(nlist=index.nlist, nprobe=index.nprobe)
    # The annotations that FAISS brings along lack some attributes.
    inside: Any = index
    if isinstance(index, (faiss.IndexBinaryHNSW, faiss.IndexHNSWFlat)):
        graph = inside.hnsw
        return Hnsw(
            M=graph.nb_neighbors(1),
            ef_construction=graph.efConstruction,
            ef_search=graph.efSearch,
        )
    if isinstance(index, faiss.IndexBinaryMultiHash):
        return Multihash(nhash=inside.nhash, b=inside.b, nflip=inside.nflip)
    return None


def stored_codes(index: Any, *, binary: bool) -> npt.NDArray[Any]:
    """Read the codes or vectors inside a FAISS index, in the order of their rows.

    Raises:
        ValueError: A row is missing.
    """
    if isinstance(index, (faiss.IndexBinaryIVF, faiss.IndexIVFFlat)):
        codes = _in_lists(index)
    else:
        whole = index if isinstance(kind_inside(index), Flat) else _downcast(index, index.storage)
        codes = _in_flat(whole, binary=binary)
    return codes if binary else codes.view(np.float32)


def centres_of(index: Any) -> Any:
    """The flat index over the centres of a clustered index."""
    return _downcast(index, index.quantizer)


def vectors_of(index: Any) -> Vectors:
    """View the vectors of an ``IndexFlatIP``, float32 [N, D]; valid while the index lives."""
    vectors: Vectors = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    return vectors.reshape(index.ntotal, index.d)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let FAISS use one thread within the block."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _empty_binary(codes: npt.NDArray[Any], kind: Kind) -> Any:
    bits = codes.shape[1] * 8
    match kind:
        case Flat():
            return faiss.IndexBinaryFlat(bits)
        case Ivf():
            return faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(bits), bits, kind.nlist)
        case Hnsw():
            return faiss.IndexBinaryHNSW(bits, kind.M)
        case Multihash():
            return faiss.IndexBinaryMultiHash(bits, kind.nhash, kind.b)


def _empty_float(vectors: npt.NDArray[Any], kind: Kind) -> Any:
    dim = vectors.shape[1]
    match kind:
        case Flat():
            return faiss.IndexFlatIP(dim)
        case Ivf():
            return faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, kind.nlist, INNER_PRODUCT)
        case Hnsw():
            return faiss.IndexHNSWFlat(dim, kind.M, INNER_PRODUCT)
        case Multihash():
            raise AssertionError("refused by index_kinds.resolved")


def _add_to_first_clusters(index: Any, codes: npt.NDArray[Any]) -> None:
    """Add codes to the cluster with the nearest centre, of equal centres to the first.

    Centres that are rounded to bits may be equal, above all where many codes are. A query looks at
    the first of them first, so that is where the items must be.
    """
    centres = centres_of(index)
    _, first, number = np.unique(
        _in_flat(centres, binary=True), axis=0, return_index=True, return_inverse=True
    )
    clusters = np.ascontiguousarray(first[number.ravel()][centres.search(codes, 1)[1][:, 0]])
    index.add_core(len(codes), faiss.swig_ptr(codes), None, faiss.swig_ptr(clusters))


def _downcast(index: Any, inner: Any) -> Any:
    """An index that another one holds, as the class that it is of."""
    binary = isinstance(index, faiss.IndexBinary)
    return (faiss.downcast_IndexBinary if binary else faiss.downcast_index)(inner)


def _in_flat(index: Any, *, binary: bool) -> npt.NDArray[Any]:
    codes: npt.NDArray[Any] = faiss.vector_to_array(index.xb if binary else index.codes)
    return codes.reshape(index.ntotal, -1)


def _in_lists(index: Any) -> npt.NDArray[Any]:
    # Without annotations in FAISS.
    get_invlist: Any = inspect_tools.get_invlist
    codes = np.empty((index.ntotal, index.code_size), dtype=np.uint8)
    seen = np.zeros(index.ntotal, dtype=bool)
    for number in range(index.nlist):
        rows, within = get_invlist(index.invlists, number)
        if rows.size and not (rows.min() >= 0 and rows.max() < index.ntotal):
            raise ValueError(f"cluster {number} holds rows beyond the last")
        codes[rows], seen[rows] = within, True
    if not seen.all():
        raise ValueError(f"row {int(np.argmin(seen))} is in no cluster")
    return codes
