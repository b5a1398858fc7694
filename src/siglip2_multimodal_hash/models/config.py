"""The shape of the head: everything that is needed to build it again from a checkpoint."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import (
    ClassifierParams,
    DecomposerParams,
    FusionParams,
    HashParams,
)

AdapterKind = Literal["none", "linear", "residual"]
FusionKind = Literal[
    "raw",
    "concat",
    "hadamard",
    "hadamard_with_magnitude",
    "gated",
    "low_rank_bilinear",
    "magnitude",
]
Modalities = Literal["both", "image", "caption"]
Activation = Literal["relu", "gelu"]
Bits = Literal[0, 16, 32, 64, 128]
Normalize = Literal["none", "batchnorm"]

BILINEAR_RANK = 5
"""Products that :class:`.interaction.LowRankBilinear` adds up for each element."""

# Which fusions take one modality, and which need as many dimensions in both.
_SINGLE = ("raw", "concat", "magnitude")
_ELEMENTWISE = ("hadamard", "hadamard_with_magnitude")

_YOUNGER: dict[str, Any] = {"project_dim": 0, "normalize": "none"}


class HeadConfigError(InputError, ValueError):
    """The parts of a head do not fit together."""


@dataclass(frozen=True)
class HeadConfig:
    """What :class:`~siglip2_multimodal_hash.models.network.HashNetwork` is built from.

    ``fusion`` names the input of the MLP: ``concat`` = [d_img, d_txt]; ``hadamard`` adds
    d_img * d_txt; ``hadamard_with_magnitude`` adds [m_img, m_txt] to that; ``gated`` and
    ``low_rank_bilinear`` learn an interaction of [d_img, d_txt], see :mod:`.interaction`;
    ``magnitude`` = [m_img, m_txt] alone; ``raw`` = [v_img, v_txt] without any decomposition, for
    the plain MLP baseline (params.yaml does not offer it). ``concat``, ``magnitude`` and ``raw``
    may also take a single modality; the width of the other may then be 0. ``bits`` = 0 leaves out
    the hash layer. ``project_dim`` is the width that the directions are mapped to before the
    fusion, 0 for none. ``normalize`` is what stands before the sign, see
    :class:`.hashing.HashLayer`.

    Raises:
        HeadConfigError: A value is out of range, or two of them exclude each other.
    """

    image_dim: int
    caption_dim: int
    classes: int
    eps: float
    adapter: AdapterKind
    fusion: FusionKind
    modalities: Modalities
    mlp_dims: tuple[int, ...]
    dropout: float
    activation: Activation
    bits: Bits
    classifier_bias: bool
    project_dim: int = 0
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        unused = {"image": "caption_dim", "caption": "image_dim"}.get(self.modalities)
        for name in ("image_dim", "caption_dim", "classes"):
            # Imported features may be of one modality: the other has no width.
            _require_int(name, getattr(self, name), least=0 if name == unused else 1)
        _require_int("project_dim", self.project_dim, least=0)
        if not self.mlp_dims:
            raise HeadConfigError("mlp_dims = (): at least one hidden layer is needed")
        for dim in self.mlp_dims:
            _require_int("mlp_dims", dim)
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            # False == 0 and 64.0 == 64 in Python: neither is a number of bits.
            if value not in allowed or type(value) is not type(allowed[0]):
                raise HeadConfigError(f"{name} = {value!r}: must be one of {allowed}")
        if not 0 <= self.dropout < 1:
            raise HeadConfigError(f"dropout = {self.dropout}: must be in [0, 1)")
        if not 0 < self.eps < math.inf:
            raise HeadConfigError(f"eps = {self.eps}: must be positive and finite")
        if not isinstance(self.classifier_bias, bool):
            raise HeadConfigError(
                f"classifier_bias = {self.classifier_bias!r}: must be true or false"
            )
        self._check_fusion()

    def _check_fusion(self) -> None:
        if self.fusion in ("raw", "magnitude") and self.project_dim:
            raise HeadConfigError(
                f"fusion.project_dim = {self.project_dim}: fusion = {self.fusion} has no "
                "directions to project",
                "set fusion.project_dim to 0",
            )
        if self.fusion not in _SINGLE and self.modalities != "both":
            raise HeadConfigError(
                f"fusion.type = {self.fusion}: an interaction needs two modalities, "
                f"but fusion.modalities = {self.modalities}",
                "set fusion.type to concat, or fusion.modalities to both",
            )
        if (
            self.fusion in _ELEMENTWISE
            and self.image_dim != self.caption_dim
            and not self.project_dim
        ):
            raise HeadConfigError(
                f"fusion.type = {self.fusion}: the image embedding has {self.image_dim} "
                f"dimensions and the caption embedding {self.caption_dim}, "
                "but a product needs as many in both",
                "set fusion.project_dim to a width for both, or fusion.type to concat, gated or "
                "low_rank_bilinear",
            )

    @property
    def direction_dims(self) -> tuple[int, int]:
        """Widths of the two directions, behind a projection."""
        if self.project_dim:
            return self.project_dim, self.project_dim
        return self.image_dim, self.caption_dim

    @property
    def input_dim(self) -> int:
        """Width of what the modalities give, before any interaction."""
        if self.fusion == "magnitude":
            return 2 if self.modalities == "both" else 1
        image, caption = self.direction_dims
        if self.modalities == "image":
            return image
        if self.modalities == "caption":
            return caption
        width = image + caption
        if self.fusion in _ELEMENTWISE:
            width += image
        if self.fusion == "hadamard_with_magnitude":
            width += 2
        return width

    @property
    def mlp_input_dim(self) -> int:
        """Width of the MLP's input, behind the interaction."""
        if self.fusion == "low_rank_bilinear":
            return min(self.direction_dims)
        return self.input_dim

    @property
    def fused_dim(self) -> int:
        """Width of the fused vector z."""
        return self.mlp_dims[-1]

    @property
    def code_dim(self) -> int:
        """Width of what is indexed: the bits, or z where there is no hash layer."""
        return self.bits or self.fused_dim

    @classmethod
    def from_params(
        cls,
        decomposer: DecomposerParams,
        fusion: FusionParams,
        hashing: HashParams,
        classifier: ClassifierParams,
        *,
        cosine_weight: float,
        image_dim: int,
        caption_dim: int,
        classes: int,
    ) -> Self:
        """The head that params.yaml describes, for embeddings of these widths.

        Raises:
            HeadConfigError: See :func:`settings_for_widths`, which the remedy names.
        """
        _check_widths(fusion, cosine_weight, image_dim, caption_dim)
        return cls(
            image_dim=image_dim,
            caption_dim=caption_dim,
            classes=classes,
            eps=decomposer.eps,
            adapter=decomposer.adapter,
            fusion=fusion.type,
            modalities=fusion.modalities,
            mlp_dims=fusion.mlp_dims,
            dropout=fusion.dropout,
            activation=fusion.activation,
            bits=hashing.bits,
            classifier_bias=classifier.use_bias,
            project_dim=fusion.project_dim,
            normalize=hashing.normalize,
        )

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON can hold and :meth:`from_json` reads.

        Without the choices that older checkpoints do not know, where they are not made.
        """
        value = {**asdict(self), "mlp_dims": list(self.mlp_dims)}
        for name, unchosen in _YOUNGER.items():
            if value[name] == unchosen:
                del value[name]
        return value

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Rebuild a config from :meth:`to_json`'s dict.

        Raises:
            HeadConfigError: A key is missing or unknown, or a value is not allowed.
        """
        if not isinstance(value, dict):
            raise HeadConfigError(f"head = {value!r}: must be a mapping")
        value = {**_YOUNGER, **value}
        known = {field.name for field in fields(cls)}
        if wrong := sorted(known ^ value.keys()):
            raise HeadConfigError(f"head: missing or unknown keys: {', '.join(map(str, wrong))}")
        try:
            return cls(**{**value, "mlp_dims": tuple(value["mlp_dims"])})
        except TypeError as error:
            raise HeadConfigError(f"head: a value has the wrong type ({error})") from None


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
        wanted: dict[str, str | int] = {}
        if fusion.modalities != alone:
            wanted["fusion.modalities"] = alone
        if fusion.type not in _SINGLE:
            wanted["fusion.type"] = "concat"
        return wanted
    if image_dim == caption_dim or fusion.modalities != "both" or fusion.project_dim:
        return {}
    if fusion.type == "magnitude":  # it has no directions to project
        return {"loss.cosine_weight": 0} if cosine_weight else {}
    if fusion.type in _ELEMENTWISE or cosine_weight:
        return {"fusion.project_dim": min(image_dim, caption_dim)}
    return {}


def _check_widths(
    fusion: FusionParams, cosine_weight: float, image_dim: int, caption_dim: int
) -> None:
    needed = settings_for_widths(fusion, cosine_weight, image_dim, caption_dim)
    if not needed:
        return
    remedy = f"`smhash use {' '.join(f'-S {key}={value}' for key, value in needed.items())}`"
    if not (image_dim and caption_dim):
        there, other = ("image", "caption") if image_dim else ("caption", "image")
        raise HeadConfigError(
            f"fusion.modalities = {fusion.modalities}: the imported features are of the {there} "
            "alone",
            f"{remedy}, or import {other} features, too",
        )
    cause = f"loss.cosine_weight = {cosine_weight}: directions of unlike widths have no cosine"
    if fusion.type in _ELEMENTWISE:
        cause = f"fusion.type = {fusion.type}: a product needs as many dimensions in both"
    raise HeadConfigError(
        f"{cause}, and the image embedding has {image_dim} dimensions, the caption embedding "
        f"{caption_dim}",
        remedy,
    )


_CHOICES: dict[str, tuple[Any, ...]] = {
    "adapter": get_args(AdapterKind),
    "fusion": get_args(FusionKind),
    "modalities": get_args(Modalities),
    "activation": get_args(Activation),
    "bits": get_args(Bits),
    "normalize": get_args(Normalize),
}


def _require_int(name: str, value: Any, *, least: int = 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        kind = "positive whole number" if least else "whole number, or 0"
        raise HeadConfigError(f"{name} = {value!r}: must be a {kind}")
