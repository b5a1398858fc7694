"""The sections ``index``, ``knn`` and ``knn_grid``, and which searches a code's width allows."""

from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.params.types import (
    Bits,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    UnitFloat,
    not_empty,
)

IndexKind = Literal["flat", "ivf", "hnsw", "multihash"]
NeighbourCount = Annotated[int, Field(ge=1, le=1024)]
Distance = Literal["hamming", "cosine", "hybrid", "asymmetric", "whitened"]
Vote = Literal["uniform", "softmax", "rank", "threshold"]

# Of tags: the vote of the neighbours, the classifier, and both by `knn.hybrid_weight`.
PREDICTORS = ("knn", "mlp", "hybrid")
# A piece is looked up as one machine word, with a bit to spare.
MOST_PIECE_BITS = 63
_WIDTHS = ", ".join(map(str, get_args(Bits)[1:]))


class Flat(Section):
    """Exhaustive search: no parameters."""


class Ivf(Section):
    nlist: NonNegativeInt
    nprobe: NonNegativeInt

    @model_validator(mode="after")
    def _probes_what_there_is(self) -> Self:
        if self.nlist and self.nprobe > self.nlist:
            raise ValueError(f"nprobe = {self.nprobe}: must not exceed nlist = {self.nlist}")
        return self


class Hnsw(Section):
    M: Annotated[int, Field(ge=2, le=512)]
    ef_construction: PositiveInt
    ef_search: PositiveInt


class Multihash(Section):
    nhash: NonNegativeInt
    b: Annotated[int, Field(ge=0, le=MOST_PIECE_BITS)]
    nflip: NonNegativeInt

    @model_validator(mode="after")
    def _flips_bits_of_a_piece(self) -> Self:
        if self.b and self.nflip > self.b:
            raise ValueError(f"nflip = {self.nflip}: must not exceed b = {self.b}")
        return self


class IndexParams(Section):
    kind: IndexKind
    ivf: Ivf
    hnsw: Hnsw
    multihash: Multihash


class KnnParams(Section):
    K: NeighbourCount
    distance: Distance
    vote: Vote
    tau: PositiveFloat
    threshold: UnitFloat
    shortlist: PositiveInt
    hybrid_weight: UnitFloat
    top_n_tags: Annotated[int, Field(ge=1, le=80)]


class KnnGridParams(Section):
    """Settings to try on val in addition to those of ``knn``."""

    K: Annotated[tuple[NeighbourCount, ...], Field(strict=False), AfterValidator(not_empty)]
    distance: Annotated[tuple[Distance, ...], Field(strict=False), AfterValidator(not_empty)]
    vote: Annotated[tuple[Vote, ...], Field(strict=False), AfterValidator(not_empty)]
    tau: Annotated[tuple[PositiveFloat, ...], Field(strict=False), AfterValidator(not_empty)]
    hybrid_weight: Annotated[tuple[UnitFloat, ...], Field(strict=False), AfterValidator(not_empty)]


def code_bytes(bits: int) -> int:
    """Bytes of a packed code.

    Raises:
        ParamsError: ``bits`` is not a positive multiple of 8.
    """
    if bits < 8 or bits % 8:
        raise ParamsError(
            f"hash.bits = {bits}: must be a positive multiple of 8", f"use one of {_WIDTHS}"
        )
    return bits // 8


def searches_vectors(distance: Distance) -> bool:
    """Test whether a search by this distance indexes vectors, not codes."""
    return distance in ("cosine", "asymmetric", "whitened")


def needs_code(distance: Distance) -> bool:
    """Test whether a search by this distance needs binary codes."""
    return distance != "cosine"


def check_distance(distance: Distance, bits: int) -> None:
    """Refuse a search that needs binary codes where ``bits`` is 0.

    Raises:
        ParamsError: It does.
    """
    if not bits and needs_code(distance):
        raise ParamsError(
            f"knn.distance = {distance}: hash.bits = 0 means no binary code, so only `cosine` is "
            f"possible (or set hash.bits to one of {_WIDTHS})"
        )


def check_multihash(pieces: Multihash, bits: int, distance: Distance = "hamming") -> None:
    """Refuse hash tables where there are no bits to hash, or fewer than the pieces have.

    Raises:
        ParamsError: Vectors are searched, or the pieces have more bits than the code.
    """
    if not bits or searches_vectors(distance):
        reason = f"knn.distance = {distance}" if bits else "hash.bits = 0"
        raise ParamsError(
            f"index.kind = multihash: {reason} searches vectors, which have no bits to hash, "
            "so only `flat`, `ivf` or `hnsw` is possible"
        )
    if max(pieces.nhash, 1) * max(pieces.b, 1) > bits:
        raise ParamsError(
            f"index.multihash.nhash = {pieces.nhash}, index.multihash.b = {pieces.b}: "
            f"the pieces must not have more bits than hash.bits = {bits}"
        )


def check_shortlist(shortlist: int, K: int) -> None:
    """Refuse more neighbours than a hybrid search re-ranks candidates.

    Raises:
        ParamsError: ``shortlist`` is less than ``K``.
    """
    if shortlist < K:
        raise ParamsError(
            f"knn.shortlist = {shortlist}: must be at least knn.K = {K}, "
            "because the hybrid distance re-ranks the shortlist"
        )


def check_neighbour_count(K: int, count: int, name: str = "knn.K") -> None:
    """Refuse more neighbours than the database has items.

    Raises:
        ParamsError: ``K`` is less than 1 or more than ``count``; the message gives both.
    """
    if not 1 <= K <= count:
        raise ParamsError(
            f"{name} = {K}: the database has {count} items",
            f"set {name} to a number from 1 to {count}" if count else "the database is empty",
        )


def check_tag_count(n: int, classes: int) -> None:
    """Refuse more tags per photo than there are classes.

    Raises:
        ParamsError: ``n`` is less than 1 or more than ``classes``.
    """
    if not 1 <= n <= classes:
        raise ParamsError(
            f"knn.top_n_tags = {n}: there are {classes} classes", f"use 1 to {classes}"
        )
