"""Settings of the towers' tuning; heads and rates of the ``train`` stage are not among them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.initialisation import FitStart
from siglip2_multimodal_hash.params import (
    AmpDtype,
    CaptionPolicy,
    LossParams,
    Params,
    PrecisionName,
    RuntimeParams,
    TuneParams,
    Tuning,
)
from siglip2_multimodal_hash.training.settings import AdamSettings


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
class TuneSettings:
    """Parameters of the tuning.

    ``head`` is :meth:`.HeadConfig.from_params` with its first argument given.
    """

    mode: Tuning
    gradient_checkpointing: bool
    towers: TowerChoice
    tune: TuneParams
    head: Callable[[int, int, int], HeadConfig]
    start: FitStart
    loss: LossParams
    eval_caption: CaptionPolicy
    adam: AdamSettings
    gradient_clip_norm: float
    mixed_precision: PrecisionName
    seed: int
    runtime: RuntimeParams

    @property
    def peak_lr(self) -> float:
        """Peak learning rate of the weights trained in the towers."""
        return self.tune.lora.lr if self.mode == "lora" else self.tune.lr

    @property
    def lr_name(self) -> str:
        """The parameter behind :attr:`peak_lr`."""
        return "tune.lora.lr" if self.mode == "lora" else "tune.lr"

    @classmethod
    def from_params(cls, params: Params) -> Self:
        """Sections that the stage reads whole, and single parameters of the others."""
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
            head=partial(HeadConfig.from_params, params),
            start=FitStart.from_params(params),
            loss=params.loss,
            eval_caption=params.dataset.eval_caption,
            adam=AdamSettings.of_optimizer(params),
            gradient_clip_norm=params.training.gradient_clip_norm,
            mixed_precision=params.training.mixed_precision,
            seed=params.seed,
            runtime=params.runtime,
        )
