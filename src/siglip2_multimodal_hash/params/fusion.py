"""The sections ``fusion`` and ``hash``, and which widths of the embeddings suit them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.params.types import IntTuple, NonNegativeInt, Section, WholeBits

FusionType = Literal[
    "concat", "hadamard", "hadamard_with_magnitude", "gated", "low_rank_bilinear", "magnitude"
]
Modalities = Literal["both", "image", "caption"]
Activation = Literal["relu", "gelu"]
Normalize = Literal["none", "batchnorm"]
Shortcut = Literal["none", "random", "itq"]
Standardise = Literal["none", "column", "shared"]
Projection = Literal["pca", "learned"]
Initialisation = Literal["default", "he"]
Dropout = Annotated[float, Field(ge=0, lt=1)]

# Without an interaction, so also of one modality.
_SINGLE = ("concat", "magnitude")


def multiplies(kind: str) -> bool:
    """Test whether a fusion multiplies the two directions, which must then be equally wide."""
    return kind in ("hadamard", "hadamard_with_magnitude")


class FusionParams(Section):
    type: FusionType
    modalities: Modalities
    project_dim: NonNegativeInt
    projection: Projection
    mlp_dims: IntTuple
    dropout: Dropout
    activation: Activation
    standardise: Standardise
    init: Initialisation

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.modalities != "both" and self.type not in _SINGLE:
            raise ValueError(
                f"type = {self.type}: an interaction needs two modalities, so with "
                f"fusion.modalities = {self.modalities} only `concat` and `magnitude` are possible"
            )
        if self.type == "magnitude" and self.project_dim:
            raise ValueError(
                f"project_dim = {self.project_dim}: fusion.type = magnitude has no directions to "
                "project, so only 0 is possible"
            )
        return self


class HashParams(Section):
    bits: WholeBits
    normalize: Normalize
    shortcut: Shortcut

    @property
    def has_shortcut(self) -> bool:
        """Whether the head has a hash layer with a shortcut."""
        return self.bits > 0 and self.shortcut != "none"


def unlike_widths(image_dim: int, caption_dim: int, project_dim: int) -> bool:
    """Test whether two directions differ in width, so that they have neither product nor cosine."""
    return image_dim != caption_dim and not project_dim


def settings_for_widths(
    fusion: FusionParams, cosine_weight: float, image_dim: int, caption_dim: int
) -> dict[str, str | int]:
    """The changes of params.yaml that embeddings of these widths need; empty where all is well.

    Args:
        fusion: In force.
        cosine_weight: ``loss.cosine_weight``: the directions of both modalities are compared.
        image_dim: Width of the image embeddings; 0 where there are none.
        caption_dim: Width of the caption embeddings; 0 where there are none.
    """
    alone = {image_dim: "caption", caption_dim: "image"}.get(0)
    if alone is not None:
        needed: dict[str, str | int] = {}
        if fusion.modalities != alone:
            needed["fusion.modalities"] = alone
        if fusion.type not in _SINGLE:
            needed["fusion.type"] = "concat"
        return needed
    unlike = unlike_widths(image_dim, caption_dim, fusion.project_dim)
    if not unlike or fusion.modalities != "both":
        return {}
    if fusion.type == "magnitude":  # it has no directions to project
        return {"loss.cosine_weight": 0} if cosine_weight else {}
    if multiplies(fusion.type) or cosine_weight:
        return {"fusion.project_dim": min(image_dim, caption_dim)}
    return {}


def check_widths(
    fusion: FusionParams, cosine_weight: float, image_dim: int, caption_dim: int
) -> None:
    """Refuse embeddings of widths that do not suit the fusion or the loss.

    Raises:
        ParamsError: See :func:`settings_for_widths`, which the remedy names.
    """
    needed = settings_for_widths(fusion, cosine_weight, image_dim, caption_dim)
    if not needed:
        return
    remedy = f"`smhash use {' '.join(f'-S {key}={value}' for key, value in needed.items())}`"
    if not (image_dim and caption_dim):
        there, other = ("image", "caption") if image_dim else ("caption", "image")
        raise ParamsError(
            f"fusion.modalities = {fusion.modalities}: the imported features are of the {there} "
            "alone",
            f"{remedy}, or import {other} features, too",
        )
    cause = f"loss.cosine_weight = {cosine_weight}: directions of unlike widths have no cosine"
    if multiplies(fusion.type):
        cause = f"fusion.type = {fusion.type}: a product needs as many dimensions in both"
    raise ParamsError(
        f"{cause}, and the image embedding has {image_dim} dimensions, the caption embedding "
        f"{caption_dim}",
        remedy,
    )
