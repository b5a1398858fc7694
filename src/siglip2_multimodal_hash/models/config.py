"""The shape of the head: everything that is needed to build it again from a checkpoint."""

from typing import Any, Literal, Self

from pydantic import ValidationError

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.params import (
    Activation,
    Adapter,
    Dropout,
    FusionType,
    IntTuple,
    Modalities,
    NonNegativeInt,
    Normalize,
    Params,
    PositiveFloat,
    PositiveInt,
    Projection,
    Section,
    WholeBits,
    check_widths,
    explained,
    multiplies,
)

# `raw` is for the plain MLP baseline: params.yaml does not offer it.
FusionKind = FusionType | Literal["raw"]

RESIDUAL_REDUCTION = 4
"""Width of an embedding over that of the bottleneck of :class:`.decomposition.ResidualAdapter`."""

BILINEAR_RANK = 5
"""Products that :class:`.fusion.LowRankBilinear` adds up for each element."""

# Left out of JSON where not chosen: older checkpoints do not know these choices.
_UNCHOSEN: dict[str, Any] = {
    "project_dim": 0,
    "projection": "learned",
    "normalize": "none",
    "shortcut": False,
}

# Pairs that go through the head at a time while it is fitted and validated: some 30 MB of
# activations for SigLIP 2 base. Not `runtime.dataloader.inference_batch_size`: kernels for another
# number of rows round differently, and no parameter of `runtime` may change what comes out.
CHUNK = 2048
# Pairs that decide what is solved for and not learned: more bring nothing to a linear map.
SAMPLE = 32_768
# Images whose labels span the targets of shared labels in the closed form.
LANDMARKS = 2048
# Rows in float64 at a time, so that a large training set is never copied whole.
BLOCK_ROWS = 8192


class HeadConfig(Section):
    """Settings of the shape of :class:`~siglip2_multimodal_hash.models.network.HashNetwork`.

    ``fusion`` names the input of the MLP: ``concat`` = [d_img, d_txt]; ``hadamard`` adds
    d_img * d_txt; ``hadamard_with_magnitude`` adds [m_img, m_txt] to that; ``gated`` and
    ``low_rank_bilinear`` learn an interaction of [d_img, d_txt], see :mod:`.fusion`;
    ``magnitude`` = [m_img, m_txt] alone; ``raw`` = [v_img, v_txt] without any decomposition.
    ``concat``, ``magnitude`` and ``raw`` may also take a single modality; the width of the other
    may then be 0. ``bits`` = 0 leaves out the hash layer. ``project_dim`` is the width that the
    directions are mapped to before the fusion, 0 for none, and ``projection`` is the kind of that
    map, fixed or learned, see :class:`.decomposition.DirectionProjection`. ``normalize`` is what
    stands before the sign, and ``shortcut`` adds a linear map of the MLP's input, see
    :class:`.hashing.HashLayer`.

    Raises:
        pydantic.ValidationError: A value is of another type or out of range. Combinations are
            checked where they are chosen, by the parameters.
    """

    image_dim: NonNegativeInt
    caption_dim: NonNegativeInt
    classes: PositiveInt
    eps: PositiveFloat
    adapter: Adapter
    fusion: FusionKind
    modalities: Modalities
    mlp_dims: IntTuple
    dropout: Dropout
    activation: Activation
    bits: WholeBits
    classifier_bias: bool
    project_dim: NonNegativeInt = 0
    projection: Projection = "learned"
    normalize: Normalize = "none"
    shortcut: bool = False

    @property
    def direction_dims(self) -> tuple[int, int]:
        """Widths of the two directions, behind a projection."""
        if self.project_dim:
            return self.project_dim, self.project_dim
        return self.image_dim, self.caption_dim

    @property
    def trains_directions(self) -> bool:
        """True where anything trainable stands before the directions; the towers are frozen."""
        learned = self.project_dim > 0 and self.projection == "learned"
        return self.fusion != "raw" and (self.adapter != "none" or learned)

    @property
    def magnitudes(self) -> int:
        """Number of log-magnitudes in the input; they are its last columns."""
        if self.fusion == "magnitude":
            return 2 if self.modalities == "both" else 1
        return 2 if self.fusion == "hadamard_with_magnitude" else 0

    @property
    def input_dim(self) -> int:
        """Width of what the modalities give, before any interaction."""
        if self.fusion == "magnitude":
            return self.magnitudes
        image, caption = self.direction_dims
        if self.modalities == "image":
            return image
        if self.modalities == "caption":
            return caption
        products = image if multiplies(self.fusion) else 0
        return image + caption + products + self.magnitudes

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
    def from_params(cls, params: Params, image_dim: int, caption_dim: int, classes: int) -> Self:
        """The head that params.yaml describes, for embeddings of these widths.

        Raises:
            ParamsError: See :func:`.check_widths`.
        """
        fusion = params.fusion
        check_widths(fusion, params.loss.cosine_weight, image_dim, caption_dim)
        return cls(
            image_dim=image_dim,
            caption_dim=caption_dim,
            classes=classes,
            eps=params.decomposer.eps,
            adapter=params.decomposer.adapter,
            fusion=fusion.type,
            modalities=fusion.modalities,
            mlp_dims=fusion.mlp_dims,
            dropout=fusion.dropout,
            activation=fusion.activation,
            bits=params.hash.bits,
            classifier_bias=params.classifier.use_bias,
            project_dim=fusion.project_dim,
            projection=fusion.projection,
            normalize=params.hash.normalize,
            shortcut=params.hash.has_shortcut,
        )

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON can hold and :meth:`from_json` reads."""
        value = self.model_dump(mode="json")
        if not self.project_dim:
            del value["projection"]
        return {key: one for key, one in value.items() if one != _UNCHOSEN.get(key)}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Rebuild a config from :meth:`to_json`'s dict.

        Raises:
            ParamsError: A key is missing or unknown, or a value is not allowed.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise ParamsError(f"head: {explained(error, cls)}") from None
