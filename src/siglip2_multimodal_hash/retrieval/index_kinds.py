"""Kinds of indexes by their parameters: as asked for, with 0 for a choice by size, and resolved.

``Flat`` looks at every item, so it is exact. The others look at some, so they may miss a neighbour,
but what they look at depends on the query and the index alone:

- ``Ivf``: items in clusters (k-means); a query looks at the clusters with the nearest centres.
- ``Hnsw``: a walk over a graph of near items (Malkov and Yashunin, TPAMI 2020).
- ``Multihash``: codes cut in pieces, each with a hash table (Norouzi, Punjani and Fleet, CVPR
  2012). It misses no item within Hamming distance ``nhash * (nflip + 1) - 1``: of so few different
  bits, some piece has at most ``nflip``.
"""

import math

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import (
    MOST_PIECE_BITS,
    Flat,
    Hnsw,
    IndexKind,
    IndexParams,
    Ivf,
    Multihash,
    check_multihash,
)

Kind = Flat | Ivf | Hnsw | Multihash

_NAMES: dict[type[Kind], IndexKind] = {
    Flat: "flat",
    Ivf: "ivf",
    Hnsw: "hnsw",
    Multihash: "multihash",
}


def kind_of(params: IndexParams) -> Kind:
    """The kind named by ``index.kind``, with its parameters."""
    kinds: dict[IndexKind, Kind] = {
        "flat": Flat(),
        "ivf": params.ivf,
        "hnsw": params.hnsw,
        "multihash": params.multihash,
    }
    return kinds[params.kind]


def name_of(kind: Kind) -> IndexKind:
    """The value of ``index.kind``."""
    return _NAMES[type(kind)]


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
    # As many clusters as balance the search for the nearest centres and that within a cluster.
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
    return Ivf(nlist=nlist, nprobe=nprobe)


def _resolved_multihash(kind: Multihash, count: int, bits: int) -> Multihash:
    check_multihash(kind, bits)
    nhash, b = kind.nhash, kind.b
    if not nhash:  # a piece of about log2(count) bits: a bucket then holds about one item
        nhash = bits // b if b else max(1, round(bits / max(1.0, math.log2(count))))
    b = b or min(MOST_PIECE_BITS, bits // nhash)
    return Multihash(nhash=nhash, b=b, nflip=min(kind.nflip, b))
