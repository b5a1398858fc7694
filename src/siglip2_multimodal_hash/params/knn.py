"""The sections ``knn`` and ``knn_grid`` of ``params.yaml``: how neighbours are found and vote."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from siglip2_multimodal_hash.params.base import Section
from siglip2_multimodal_hash.params.types import PositiveFloat, PositiveInt, UnitFloat, not_empty

NeighbourCount = Annotated[int, Field(ge=1, le=1024)]
Distance = Literal["hamming", "cosine", "hybrid", "asymmetric", "whitened"]
Vote = Literal["uniform", "softmax", "rank", "threshold"]


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
    """What is tried on val beside the settings of ``knn``."""

    K: Annotated[tuple[NeighbourCount, ...], Field(strict=False), AfterValidator(not_empty)]
    distance: Annotated[tuple[Distance, ...], Field(strict=False), AfterValidator(not_empty)]
    vote: Annotated[tuple[Vote, ...], Field(strict=False), AfterValidator(not_empty)]
    tau: Annotated[tuple[PositiveFloat, ...], Field(strict=False), AfterValidator(not_empty)]
    hybrid_weight: Annotated[tuple[UnitFloat, ...], Field(strict=False), AfterValidator(not_empty)]
