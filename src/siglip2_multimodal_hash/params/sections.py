"""What ``params.yaml`` may hold: typed, frozen sections, and the combinations that cannot work.

What each parameter means stands beside it in ``params.yaml``.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Bits = Literal[0, 16, 32, 64, 128]


def _not_empty(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    # `min_length` would count the entries that are valid, and so complain twice about a bad one.
    if not entries:
        raise PydanticCustomError("too_short", "Must have at least one entry")
    return entries


def _whole_bits(value: Any) -> Any:
    # Literal compares by ==, to which False is 0 and 64.0 is 64.
    if type(value) is not int:
        allowed = ", ".join(map(str, get_args(Bits)))
        raise PydanticCustomError("int_type", "Must be one of {allowed}", {"allowed": allowed})
    return value


def _address(value: str) -> str:
    if value.startswith(("http://", "https://", "file:///")) or Path(value).is_absolute():
        return value
    # A queued experiment runs in a copy of the repository: a relative path would lead elsewhere.
    raise PydanticCustomError(
        "address", "Must start with http://, https:// or file:///, or be an absolute path"
    )


PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
UnitFloat = Annotated[float, Field(ge=0, le=1)]
OpenUnitFloat = Annotated[float, Field(gt=0, lt=1)]
# A decay rate of 1 never forgets: AdamW divides by 1 - beta.
DecayFloat = Annotated[float, Field(ge=0, lt=1)]
# YAML has lists only: strictness is about the members.
IntTuple = Annotated[tuple[PositiveInt, ...], Field(strict=False), AfterValidator(_not_empty)]
StrTuple = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_not_empty)]
Address = Annotated[str, AfterValidator(_address)]
# A name becomes a folder name.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


class Section(BaseModel):
    """A group of parameters: unknown keys refused, types strict, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    name: Literal["mojicoco", "coco2014"]
    protocol: Literal["karpathy", "standard", "hashnet"]
    val_slice: ValSliceParams
    unlabelled: Literal["keep", "drop"]
    eval_caption: Literal["first", "mean"]
    mojicoco: MojicocoParams


class BackboneParams(Section):
    name: Name
    checkpoint: Annotated[str, Field(min_length=1)]
    revision: Annotated[str, Field(min_length=1)]
    max_num_patches: Annotated[int, Field(ge=16, le=4096)]
    text_max_length: PositiveInt
    prompt_templates: StrTuple
    amp_dtype: Literal["float32", "bfloat16", "float16"]
    tune: Literal["frozen", "lora", "full"]
    gradient_checkpointing: bool

    @model_validator(mode="after")
    def _templates_have_one_slot(self) -> Self:
        for template in self.prompt_templates:
            if template.count("{}") != 1:
                raise ValueError(f"prompt_templates: {template!r} must hold '{{}}' exactly once")
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
    adapter: Literal["none", "linear", "residual"]


class FusionParams(Section):
    type: Literal["concat", "hadamard", "hadamard_with_magnitude"]
    modalities: Literal["both", "image", "caption"]
    mlp_dims: IntTuple
    dropout: Annotated[float, Field(ge=0, lt=1)]
    activation: Literal["relu", "gelu"]


class HashParams(Section):
    bits: Annotated[Bits, BeforeValidator(_whole_bits)]


class ClassifierParams(Section):
    use_bias: bool


class LossParams(Section):
    bce_weight: NonNegativeFloat
    cosine_weight: NonNegativeFloat
    hash_weight: NonNegativeFloat
    lambda_balance: NonNegativeFloat
    lambda_decorr: NonNegativeFloat
    imbalance: Literal["none", "focal", "class_weights"]
    focal_alpha: OpenUnitFloat
    focal_gamma: NonNegativeFloat


class TrainingParams(Section):
    batch_size: PositiveInt
    accumulation_steps: PositiveInt
    drop_last: bool
    num_epochs: PositiveInt
    val_every_n_epochs: PositiveInt
    gradient_clip_norm: PositiveFloat
    early_stopping_patience: PositiveInt
    mixed_precision: Literal["auto", "off", "float16", "bfloat16"]


class OptimizerParams(Section):
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    betas: Annotated[tuple[DecayFloat, DecayFloat], Field(strict=False)]
    eps: PositiveFloat


class SchedulerParams(Section):
    warmup_epochs: NonNegativeInt
    min_lr: NonNegativeFloat


class CheckpointingParams(Section):
    save_top_k: PositiveInt
    save_last: bool
    save_every_n_epochs: NonNegativeInt


class IndexParams(Section):
    kind: Literal["flat"]


class KnnParams(Section):
    K: Annotated[int, Field(ge=1, le=1024)]
    distance: Literal["hamming", "cosine", "hybrid"]
    vote: Literal["uniform", "softmax", "rank", "threshold"]
    tau: PositiveFloat
    threshold: UnitFloat
    shortlist: PositiveInt
    hybrid_weight: UnitFloat
    top_n_tags: Annotated[int, Field(ge=1, le=80)]


class ReportParams(Section):
    embed_images: bool
    queries: Annotated[int, Field(ge=1, le=500)]


class DataloaderParams(Section):
    num_workers: NonNegativeInt
    embed_batch_size: PositiveInt
    inference_batch_size: PositiveInt


class MemoryParams(Section):
    empty_cache_steps: NonNegativeInt
    log_gpu_memory: bool
    alert_vram_fraction: UnitFloat


class LoggingParams(Section):
    level: Literal["DEBUG", "INFO", "WARNING"]
    log_every_n_steps: PositiveInt
    progress: bool


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
    """How the work is done, never what comes out: no stage declares these to DVC."""

    coco_root: str
    download: DownloadParams
    device: Literal["auto", "cpu", "cuda"]
    dataloader: DataloaderParams
    memory: MemoryParams
    logging: LoggingParams


class Params(Section):
    """The whole of ``params.yaml``."""

    dataset: DatasetParams
    backbone: BackboneParams
    tune: TuneParams
    decomposer: DecomposerParams
    fusion: FusionParams
    hash: HashParams
    classifier: ClassifierParams
    loss: LossParams
    training: TrainingParams
    optimizer: OptimizerParams
    scheduler: SchedulerParams
    checkpointing: CheckpointingParams
    index: IndexParams
    knn: KnnParams
    report: ReportParams
    seed: NonNegativeInt
    runtime: RuntimeParams

    @model_validator(mode="after")
    def _combinations(self) -> Self:
        if self.knn.distance == "hybrid" and self.knn.shortlist < self.knn.K:
            raise ValueError(
                f"knn.shortlist = {self.knn.shortlist}: must be at least knn.K = {self.knn.K}, "
                "because the hybrid distance re-ranks the shortlist"
            )
        if self.hash.bits == 0 and self.knn.distance != "cosine":
            raise ValueError(
                f"knn.distance = {self.knn.distance}: hash.bits = 0 means no binary code, "
                "so only `cosine` is possible (or set hash.bits to 16, 32, 64 or 128)"
            )
        if self.scheduler.warmup_epochs >= self.training.num_epochs:
            raise ValueError(
                f"scheduler.warmup_epochs = {self.scheduler.warmup_epochs}: must be less than "
                f"training.num_epochs = {self.training.num_epochs}"
            )
        if self.scheduler.min_lr > self.optimizer.lr:
            raise ValueError(
                f"scheduler.min_lr = {self.scheduler.min_lr}: must not exceed "
                f"optimizer.lr = {self.optimizer.lr}"
            )
        if self.fusion.modalities != "both" and self.fusion.type != "concat":
            raise ValueError(
                f"fusion.type = {self.fusion.type}: a product needs two modalities, so with "
                f"fusion.modalities = {self.fusion.modalities} only `concat` is possible"
            )
        if self.dataset.name == "mojicoco" and self.dataset.protocol == "hashnet":
            raise ValueError(
                "dataset.protocol = hashnet: its lists name images of COCO 2014, so with "
                "dataset.name = mojicoco only `karpathy` or `standard` is possible"
            )
        root = self.runtime.coco_root
        if self.dataset.name == "coco2014" and not Path(root).is_absolute():
            raise ValueError(
                f"runtime.coco_root = {root!r}: dataset.name = coco2014 needs the absolute path of "
                "the folder that holds images/ and annotations/ (queued experiments run in a copy "
                "of the repository, where a relative path would lead elsewhere): "
                "`smhash use coco2014 --coco-root FOLDER` sets both"
            )
        return self
