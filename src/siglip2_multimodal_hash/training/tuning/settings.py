"""What the tuning of the towers follows; heads and rates of the ``train`` stage are not in it."""

from dataclasses import dataclass
from typing import Literal, Self

from siglip2_multimodal_hash.device import PrecisionName
from siglip2_multimodal_hash.features.spec import AmpDtype
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import (
    ClassifierParams,
    DecomposerParams,
    FusionParams,
    HashParams,
    LossParams,
    Params,
    RuntimeParams,
    TuneParams,
)
from siglip2_multimodal_hash.training.settings import AdamSettings
from siglip2_multimodal_hash.training.splits import CaptionPolicy


@dataclass(frozen=True)
class TowerChoice:
    """The towers to start from; a :class:`.TowerSpec`.

    They are loaded as float32 whatever ``backbone.amp_dtype`` says: that is for embedding, and
    ``training.mixed_precision`` for training.
    """

    checkpoint: str
    revision: str
    max_num_patches: int
    text_max_length: int
    amp_dtype: AmpDtype = "float32"


@dataclass(frozen=True)
class HeadSettings:
    """The sections that shape the head."""

    decomposer: DecomposerParams
    fusion: FusionParams
    hash: HashParams
    classifier: ClassifierParams
    cosine_weight: float

    def config(self, image_dim: int, caption_dim: int, classes: int) -> HeadConfig:
        """The head on towers of these widths.

        Raises:
            HeadConfigError: The widths do not suit the fusion.
        """
        return HeadConfig.from_params(
            self.decomposer,
            self.fusion,
            self.hash,
            self.classifier,
            cosine_weight=self.cosine_weight,
            image_dim=image_dim,
            caption_dim=caption_dim,
            classes=classes,
        )


@dataclass(frozen=True)
class TuneSettings:
    """How to tune the towers."""

    mode: Literal["frozen", "lora", "full"]
    gradient_checkpointing: bool
    towers: TowerChoice
    tune: TuneParams
    head: HeadSettings
    loss: LossParams
    eval_caption: CaptionPolicy
    adam: AdamSettings
    gradient_clip_norm: float
    mixed_precision: PrecisionName
    seed: int
    runtime: RuntimeParams

    @property
    def peak_lr(self) -> float:
        """Of whatever is trained in the towers."""
        return self.tune.lora.lr if self.mode == "lora" else self.tune.lr

    @property
    def lr_name(self) -> str:
        """The parameter behind :attr:`peak_lr`."""
        return "tune.lora.lr" if self.mode == "lora" else "tune.lr"

    @classmethod
    def from_params(cls, params: Params) -> Self:
        """Take the parameters out of the whole, leaf by leaf where a section has others too."""
        return cls(
            mode=params.backbone.tune,
            gradient_checkpointing=params.backbone.gradient_checkpointing,
            towers=TowerChoice(
                checkpoint=params.backbone.checkpoint,
                revision=params.backbone.revision,
                max_num_patches=params.backbone.max_num_patches,
                text_max_length=params.backbone.text_max_length,
            ),
            tune=params.tune,
            head=HeadSettings(
                params.decomposer,
                params.fusion,
                params.hash,
                params.classifier,
                params.loss.cosine_weight,
            ),
            loss=params.loss,
            eval_caption=params.dataset.eval_caption,
            adam=AdamSettings.of_optimizer(params),
            gradient_clip_norm=params.training.gradient_clip_norm,
            mixed_precision=params.training.mixed_precision,
            seed=params.seed,
            runtime=params.runtime,
        )
