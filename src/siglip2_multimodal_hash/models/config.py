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
FusionKind = Literal["raw", "concat", "hadamard", "hadamard_with_magnitude"]
Modalities = Literal["both", "image", "caption"]
Activation = Literal["relu", "gelu"]
Bits = Literal[0, 16, 32, 64, 128]
Normalize = Literal["none", "batchnorm"]


class HeadConfigError(InputError, ValueError):
    """The parts of a head do not fit together."""


@dataclass(frozen=True)
class HeadConfig:
    """What :class:`~siglip2_multimodal_hash.models.network.HashNetwork` is built from.

    ``fusion`` names the input of the MLP: ``concat`` = [d_img, d_txt]; ``hadamard`` adds
    d_img * d_txt; ``hadamard_with_magnitude`` adds [m_img, m_txt] to that; ``raw`` = [v_img, v_txt]
    without any decomposition, for the plain MLP baseline (params.yaml does not offer it).
    ``concat`` and ``raw`` may also take a single modality. ``bits`` = 0 leaves out the hash layer.
    ``normalize`` is what stands before the sign, see :class:`.hashing.HashLayer`.

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
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        for name in ("image_dim", "caption_dim", "classes"):
            _require_positive_int(name, getattr(self, name))
        if not self.mlp_dims:
            raise HeadConfigError("mlp_dims = (): at least one hidden layer is needed")
        for dim in self.mlp_dims:
            _require_positive_int("mlp_dims", dim)
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
        if self.fusion in ("raw", "concat"):
            return
        if self.modalities != "both":
            raise HeadConfigError(
                f"fusion.type = {self.fusion}: a product needs two modalities, "
                f"but fusion.modalities = {self.modalities}",
                "set fusion.type to concat, or fusion.modalities to both",
            )
        if self.image_dim != self.caption_dim:
            raise HeadConfigError(
                f"fusion.type = {self.fusion}: the image embedding has {self.image_dim} "
                f"dimensions and the caption embedding {self.caption_dim}, "
                "but a product needs as many in both",
                "set fusion.type to concat, or choose a backbone with equal widths",
            )

    @property
    def input_dim(self) -> int:
        """Width of the MLP's input."""
        if self.modalities == "image":
            return self.image_dim
        if self.modalities == "caption":
            return self.caption_dim
        width = self.image_dim + self.caption_dim
        if self.fusion in ("hadamard", "hadamard_with_magnitude"):
            width += self.image_dim
        if self.fusion == "hadamard_with_magnitude":
            width += 2
        return width

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
        image_dim: int,
        caption_dim: int,
        classes: int,
    ) -> Self:
        """The head that params.yaml describes, for embeddings of these widths."""
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
            normalize=hashing.normalize,
        )

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON can hold and :meth:`from_json` reads.

        ``normalize`` is left out where it is ``none``, as in checkpoints older than the choice.
        """
        value = {**asdict(self), "mlp_dims": list(self.mlp_dims)}
        if self.normalize == "none":
            del value["normalize"]
        return value

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Rebuild a config from :meth:`to_json`'s dict.

        Raises:
            HeadConfigError: A key is missing or unknown, or a value is not allowed.
        """
        if not isinstance(value, dict):
            raise HeadConfigError(f"head = {value!r}: must be a mapping")
        value = {"normalize": "none", **value}
        known = {field.name for field in fields(cls)}
        if wrong := sorted(known ^ value.keys()):
            raise HeadConfigError(f"head: missing or unknown keys: {', '.join(map(str, wrong))}")
        try:
            return cls(**{**value, "mlp_dims": tuple(value["mlp_dims"])})
        except TypeError as error:
            raise HeadConfigError(f"head: a value has the wrong type ({error})") from None


_CHOICES: dict[str, tuple[Any, ...]] = {
    "adapter": get_args(AdapterKind),
    "fusion": get_args(FusionKind),
    "modalities": get_args(Modalities),
    "activation": get_args(Activation),
    "bits": get_args(Bits),
    "normalize": get_args(Normalize),
}


def _require_positive_int(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise HeadConfigError(f"{name} = {value!r}: must be a positive whole number")
