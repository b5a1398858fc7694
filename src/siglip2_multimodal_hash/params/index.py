"""The section ``index`` of ``params.yaml``: which index the vote searches, and how it is built."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from siglip2_multimodal_hash.params.base import Section
from siglip2_multimodal_hash.params.types import NonNegativeInt, PositiveInt


class IvfParams(Section):
    nlist: NonNegativeInt
    nprobe: NonNegativeInt

    @model_validator(mode="after")
    def _probes_what_there_is(self) -> Self:
        if self.nlist and self.nprobe > self.nlist:
            raise ValueError(f"nprobe = {self.nprobe}: must not exceed nlist = {self.nlist}")
        return self


class HnswParams(Section):
    M: Annotated[int, Field(ge=2, le=512)]
    ef_construction: PositiveInt
    ef_search: PositiveInt


class MultihashParams(Section):
    nhash: NonNegativeInt
    b: Annotated[int, Field(ge=0, le=63)]
    nflip: NonNegativeInt

    @model_validator(mode="after")
    def _flips_bits_of_a_piece(self) -> Self:
        if self.b and self.nflip > self.b:
            raise ValueError(f"nflip = {self.nflip}: must not exceed b = {self.b}")
        return self


class IndexParams(Section):
    kind: Literal["flat", "ivf", "hnsw", "multihash"]
    ivf: IvfParams
    hnsw: HnswParams
    multihash: MultihashParams
