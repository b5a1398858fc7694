"""Sections of ``params.yaml``, typed and frozen, but for those of the fusion and the search.

The meaning of each parameter stands next to it in ``params.yaml``.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from siglip2_multimodal_hash.params.types import (
    Adapter,
    Address,
    AmpDtype,
    CaptionPolicy,
    DatasetKind,
    Decay,
    DecayFloat,
    DeviceName,
    HostAndPort,
    Monitor,
    Name,
    NonNegativeFloat,
    NonNegativeInt,
    OpenUnitFloat,
    PositiveFloat,
    PositiveInt,
    PrecisionName,
    Section,
    SplitProtocol,
    StoreDtype,
    StrTuple,
    Temperature,
    Tuning,
    UnitFloat,
    Unlabelled,
)

# In the place of a checkpoint: `smhash import-features` brought the embeddings.
IMPORTED = "imported"


class MojicocoParams(Section):
    train: PositiveInt
    restval: NonNegativeInt
    val: PositiveInt
    test: PositiveInt
    image_size: Annotated[int, Field(ge=64, le=512)]
    seed: NonNegativeInt


class ValSliceParams(Section):
    images: PositiveInt
    seed: NonNegativeInt


class DatasetParams(Section):
    kind: DatasetKind
    name: Name
    protocol: SplitProtocol
    val_slice: ValSliceParams
    unlabelled: Unlabelled
    on_corrupt: Literal["fail", "drop"]
    eval_caption: CaptionPolicy
    mojicoco: MojicocoParams


class BackboneParams(Section):
    name: Name
    checkpoint: Annotated[str, Field(min_length=1)]
    revision: Annotated[str, Field(min_length=1)]
    max_num_patches: Annotated[int, Field(ge=16, le=4096)]
    text_max_length: PositiveInt
    prompt_templates: StrTuple
    amp_dtype: AmpDtype
    store_dtype: StoreDtype
    tune: Tuning
    gradient_checkpointing: bool

    @model_validator(mode="after")
    def _templates_have_one_slot(self) -> Self:
        for template in self.prompt_templates:
            if template.count("{}") != 1:
                raise ValueError(f"prompt_templates: {template!r} must hold '{{}}' exactly once")
        return self

    @model_validator(mode="after")
    def _imported_by_content(self) -> Self:
        if self.checkpoint == IMPORTED and not re.fullmatch("[0-9a-f]{64}", self.revision):
            raise ValueError(
                f"revision = {self.revision!r}: with backbone.checkpoint = {IMPORTED} it is the "
                "SHA-256 that `smhash import-features` writes"
            )
        return self


class LoraParams(Section):
    rank: PositiveInt
    alpha: PositiveInt
    lr: PositiveFloat
    targets: StrTuple


class TuneParams(Section):
    epochs: PositiveInt
    batch_size: PositiveInt
    accumulation_steps: PositiveInt
    lr: PositiveFloat
    head_lr: PositiveFloat
    warmup_share: Annotated[float, Field(ge=0, lt=1)]
    lora: LoraParams


class DecomposerParams(Section):
    eps: PositiveFloat
    adapter: Adapter


class ClassifierParams(Section):
    use_bias: bool
    prior: bool


class LossParams(Section):
    objective: Literal["plan", "pairwise", "central", "orthogonal", "discrete", "discrete_pairwise"]
    bce_weight: NonNegativeFloat
    alignment: Literal["cosine", "sigmoid", "infonce"]
    cosine_weight: NonNegativeFloat
    temperature: Temperature
    learn_temperature: bool
    hash_weight: NonNegativeFloat
    lambda_balance: NonNegativeFloat
    lambda_decorr: NonNegativeFloat
    code_weight: NonNegativeFloat
    pairwise_soft: UnitFloat
    continuation_beta: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    imbalance: Literal["none", "focal", "class_weights", "asymmetric"]
    focal_alpha: OpenUnitFloat
    focal_gamma: NonNegativeFloat
    asymmetric_gamma_pos: NonNegativeFloat
    asymmetric_gamma_neg: NonNegativeFloat
    asymmetric_clip: DecayFloat


class TrainingParams(Section):
    batch_size: PositiveInt
    accumulation_steps: PositiveInt
    drop_last: bool
    num_epochs: PositiveInt
    max_updates: NonNegativeInt
    val_every_n_epochs: PositiveInt
    gradient_clip_norm: PositiveFloat
    monitor: Monitor
    closed_form: bool
    early_stopping_patience: PositiveInt
    mixed_precision: PrecisionName

    @property
    def follows_vote(self) -> bool:
        """True where the best epoch of a fit is chosen by the vote, alone or mixed in."""
        return self.monitor in ("knn", "hybrid")


class OptimizerParams(Section):
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    betas: Annotated[tuple[DecayFloat, DecayFloat], Field(strict=False)]
    eps: PositiveFloat


class SchedulerParams(Section):
    type: Decay
    warmup_epochs: NonNegativeInt
    min_lr: NonNegativeFloat


class CheckpointingParams(Section):
    save_top_k: PositiveInt
    save_last: bool
    save_every_n_epochs: NonNegativeInt


class BaselinesParams(Section):
    classifiers: bool
    mlp_lr: PositiveFloat
    variants: bool
    untrained: bool


class ReportParams(Section):
    embed_images: bool
    link_images: bool
    queries: Annotated[int, Field(ge=1, le=500)]


class DataloaderParams(Section):
    num_workers: NonNegativeInt
    embed_batch_size: PositiveInt
    inference_batch_size: PositiveInt


class EmbedParams(Section):
    engine: Literal["local", "ray"]
    ray_address: HostAndPort
    ray_workers: NonNegativeInt
    backend: Literal["torch", "openvino"]
    compile: bool

    @model_validator(mode="after")
    def _compiled_here(self) -> Self:
        for name, set_otherwise in (
            ("compile = True", self.compile),
            (f"backend = {self.backend}", self.backend != "torch"),
        ):
            if set_otherwise and self.engine == "ray":
                raise ValueError(f"{name}: only with runtime.embed.engine = local")
        if self.compile and self.backend != "torch":
            raise ValueError("compile = True: only with runtime.embed.backend = torch")
        return self


class MemoryParams(Section):
    empty_cache_steps: NonNegativeInt
    log_gpu_memory: bool
    alert_vram_fraction: UnitFloat
    alert_ram_fraction: UnitFloat


class LoggingParams(Section):
    level: Literal["DEBUG", "INFO", "WARNING"]
    log_every_n_steps: PositiveInt
    progress: bool
    log_gradients: bool
    use_dvclive: bool
    use_tensorboard: bool
    use_wandb: bool
    wandb_project: Annotated[str, Field(min_length=1)]
    wandb_entity: str | None


class DownloadParams(Section):
    enabled: bool
    train_images: Address
    val_images: Address
    annotations: Address
    karpathy_split: Address
    hashnet_lists: Address
    attempts: PositiveInt
    timeout: PositiveFloat


class RuntimeParams(Section):
    """Parameters of execution that change no result: no stage declares these to DVC."""

    watch: Annotated[tuple[str, ...], Field(strict=False)]
    coco_root: str
    dataset_root: str
    download: DownloadParams
    features_folder: str
    device: DeviceName
    dataloader: DataloaderParams
    embed: EmbedParams
    memory: MemoryParams
    logging: LoggingParams
