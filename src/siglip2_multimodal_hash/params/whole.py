"""The whole of ``params.yaml``, and the combinations of parameters that cannot work."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from siglip2_multimodal_hash.params.base import Section
from siglip2_multimodal_hash.params.index import IndexParams
from siglip2_multimodal_hash.params.knn import KnnGridParams, KnnParams
from siglip2_multimodal_hash.params.sections import (
    IMPORTED,
    BackboneParams,
    BaselinesParams,
    CheckpointingParams,
    ClassifierParams,
    DatasetParams,
    DecomposerParams,
    FusionParams,
    HashParams,
    LossParams,
    OptimizerParams,
    ReportParams,
    RuntimeParams,
    SchedulerParams,
    TrainingParams,
    TuneParams,
)
from siglip2_multimodal_hash.params.types import NonNegativeInt

# Checkpoints in the repository; dvc.yaml names them as dependencies.
EMBEDDED = ("models/siglip2-tiny-patch16-128", "models/siglip2-tiny-naflex")


def watched_inputs(dataset: str, checkpoint: str) -> list[str]:
    """What ``runtime.watch`` must be: inputs that DVC does not see change by itself.

    Imported features are not among them: ``backbone.revision`` is the digest of their content.

    Args:
        dataset: ``dataset.name``.
        checkpoint: ``backbone.checkpoint``.
    """
    source = [f"source/{dataset}"] if dataset != "mojicoco" else []
    return source + ([f"weights/{checkpoint}"] if checkpoint not in (*EMBEDDED, IMPORTED) else [])


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
    knn_grid: KnnGridParams
    baselines: BaselinesParams
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
        if self.index.kind == "multihash":
            self._pieces_of_a_code()
        if self.scheduler.warmup_epochs >= self.training.num_epochs:
            raise ValueError(
                f"scheduler.warmup_epochs = {self.scheduler.warmup_epochs}: must be less than "
                f"training.num_epochs = {self.training.num_epochs}"
            )
        for key, rate in (
            ("optimizer.lr", self.optimizer.lr),
            ("baselines.mlp_lr", self.baselines.mlp_lr),
        ):
            if self.scheduler.min_lr > rate:
                raise ValueError(
                    f"scheduler.min_lr = {self.scheduler.min_lr}: must not exceed {key} = {rate}"
                )
        if self.fusion.modalities != "both" and self.fusion.type not in ("concat", "magnitude"):
            raise ValueError(
                f"fusion.type = {self.fusion.type}: an interaction needs two modalities, so with "
                f"fusion.modalities = {self.fusion.modalities} only `concat` and `magnitude` are "
                "possible"
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
        if self.backbone.checkpoint == IMPORTED and self.backbone.tune != "frozen":
            raise ValueError(
                f"backbone.tune = {self.backbone.tune}: backbone.checkpoint = {IMPORTED} takes "
                "features without their towers, so only `frozen` is possible"
            )
        features = self.runtime.features_folder
        if self.backbone.checkpoint == IMPORTED and not Path(features).is_absolute():
            raise ValueError(
                f"runtime.features_folder = {features!r}: backbone.checkpoint = {IMPORTED} needs "
                "the absolute path of the folder that `smhash import-features` made (queued "
                "experiments run in a copy of the repository)"
            )
        watched = watched_inputs(self.dataset.name, self.backbone.checkpoint)
        if list(self.runtime.watch) != watched:
            raise ValueError(
                f"runtime.watch = {list(self.runtime.watch)}: with this dataset.name and "
                f"backbone.checkpoint it must be {watched}; `smhash use -S KEY=VALUE` sets both, "
                f'for an experiment add -S "runtime.watch=[{",".join(watched)}]"'
            )
        return self

    def _pieces_of_a_code(self) -> None:
        pieces, bits = self.index.multihash, self.hash.bits
        if bits == 0 or self.knn.distance in ("cosine", "asymmetric", "whitened"):
            reason = "hash.bits = 0" if bits == 0 else f"knn.distance = {self.knn.distance}"
            raise ValueError(
                f"index.kind = multihash: {reason} searches vectors, which have no bits to hash, "
                "so only `flat`, `ivf` or `hnsw` is possible"
            )
        if max(pieces.nhash, 1) * max(pieces.b, 1) > bits:
            raise ValueError(
                f"index.multihash.nhash = {pieces.nhash}, index.multihash.b = {pieces.b}: "
                f"the pieces must not have more bits than hash.bits = {bits}"
            )
