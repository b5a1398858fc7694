"""Kinds of indexes and their parameters: as asked for, with 0 for a choice by size, and resolved.

``Flat`` looks at every item, so it is exact. The others look at some, so they may miss a neighbour,
but what they look at depends on the query and the index alone:

- ``Ivf``: items in clusters (k-means); a query looks at the clusters with the nearest centres.
- ``Hnsw``: a walk over a graph of near items (Malkov and Yashunin, TPAMI 2020).
- ``Multihash``: codes cut in pieces, each with a hash table (Norouzi, Punjani and Fleet, CVPR
  2012). It misses no item within Hamming distance ``nhash * (nflip + 1) - 1``: of so few different
  bits, some piece has at most ``nflip``.
"""

import math
from dataclasses import asdict, dataclass, replace

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import IndexParams


@dataclass(frozen=True)
class Flat:
    """Exhaustive search."""


@dataclass(frozen=True)
class Ivf:
    """Clusters.

    Attributes:
        nlist: Clusters; 0: the square root of the number of items, which balances the search for
            the nearest centres and the one within a cluster.
        nprobe: Clusters that a query looks at; 0: an eighth of them.
    """

    nlist: int = 0
    nprobe: int = 0


@dataclass(frozen=True)
class Hnsw:
    """A graph.

    Attributes:
        M: Edges an item, on the lowest level twice as many.
        ef_construction: Candidates that an item keeps while its edges are chosen.
        ef_search: Candidates that a query keeps; at least the K that is searched.
    """

    M: int = 16
    ef_construction: int = 80
    ef_search: int = 64


@dataclass(frozen=True)
class Multihash:
    """Hash tables over pieces of the code.

    Attributes:
        nhash: Pieces; 0: such that a piece has about log2(N) bits, so a bucket about one item.
        b: Bits a piece; 0: as many as there are.
        nflip: Most bits in which a piece may differ from the query's.
    """

    nhash: int = 0
    b: int = 0
    nflip: int = 2


Kind = Flat | Ivf | Hnsw | Multihash

NAMES: dict[type[Kind], str] = {
    Flat: "flat",
    Ivf: "ivf",
    Hnsw: "hnsw",
    Multihash: "multihash",
}
# A piece is looked up as one machine word, with a bit to spare.
MOST_PIECE_BITS = 63


def kind_of(params: IndexParams) -> Kind:
    """What ``index.kind`` names, with its parameters."""
    ivf, hnsw, multihash = params.ivf, params.hnsw, params.multihash
    kinds: dict[str, Kind] = {
        "flat": Flat(),
        "ivf": Ivf(ivf.nlist, ivf.nprobe),
        "hnsw": Hnsw(hnsw.M, hnsw.ef_construction, hnsw.ef_search),
        "multihash": Multihash(multihash.nhash, multihash.b, multihash.nflip),
    }
    return kinds[params.kind]


def name_of(kind: Kind) -> str:
    """The value of ``index.kind``."""
    return NAMES[type(kind)]


def parameters_of(kind: Kind) -> dict[str, int]:
    """The parameters by name; none for ``Flat``."""
    return asdict(kind)


def resolved(kind: Kind, count: int, bits: int) -> Kind:
    """Put numbers in the place of 0.

    Args:
        kind: As asked for.
        count: Items, at least 1.
        bits: Bits of a code; 0 for unit vectors.

    Raises:
        InputError: The kind cannot index these items with these parameters; the message names the
            parameter.
    """
    if isinstance(kind, Ivf):
        return _resolved_ivf(kind, count)
    if isinstance(kind, Multihash):
        return _resolved_multihash(kind, count, bits)
    return kind


def _resolved_ivf(kind: Ivf, count: int) -> Ivf:
    nlist = kind.nlist or max(1, round(math.sqrt(count)))
    if nlist > count:
        raise InputError(
            f"index.ivf.nlist = {nlist}: the database has {count} items",
            f"set index.ivf.nlist to a number from 1 to {count}, or to 0",
        )
    nprobe = kind.nprobe or math.ceil(nlist / 8)
    if nprobe > nlist:
        raise InputError(
            f"index.ivf.nprobe = {nprobe}: there are {nlist} clusters",
            "set index.ivf.nprobe to at most index.ivf.nlist, or to 0",
        )
    return Ivf(nlist, nprobe)


def _resolved_multihash(kind: Multihash, count: int, bits: int) -> Multihash:
    if not bits:
        raise InputError(
            "index.kind = multihash: unit vectors have no bits to hash",
            "set index.kind to flat, ivf or hnsw",
        )
    nhash, b = kind.nhash, kind.b
    if not nhash:
        nhash = bits // b if b else max(1, round(bits / max(1.0, math.log2(count))))
    b = b or min(MOST_PIECE_BITS, bits // nhash)
    if not 1 <= b <= MOST_PIECE_BITS or not 1 <= nhash * b <= bits:
        raise InputError(
            f"index.multihash.nhash = {nhash}, index.multihash.b = {b}: the code has {bits} bits",
            f"choose nhash * b of at most {bits} and b of at most {MOST_PIECE_BITS}, or 0",
        )
    if kind.b and kind.nflip > b:
        raise InputError(
            f"index.multihash.nflip = {kind.nflip}: a piece has {b} bits",
            f"set index.multihash.nflip to at most {b}",
        )
    return replace(kind, nhash=nhash, b=b, nflip=min(kind.nflip, b))
