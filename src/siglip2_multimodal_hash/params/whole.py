"""The whole of ``params.yaml``, and the combinations of parameters that cannot work."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from siglip2_multimodal_hash.params.fusion import FusionParams, HashParams
from siglip2_multimodal_hash.params.search import (
    IndexParams,
    KnnGridParams,
    KnnParams,
    check_distance,
    check_multihash,
    check_shortlist,
)
from siglip2_multimodal_hash.params.sections import (
    IMPORTED,
    BackboneParams,
    BaselinesParams,
    CheckpointingParams,
    ClassifierParams,
    DatasetParams,
    DecomposerParams,
    LossParams,
    OptimizerParams,
    ReportParams,
    RuntimeParams,
    SchedulerParams,
    TrainingParams,
    TuneParams,
)
from siglip2_multimodal_hash.params.types import NonNegativeInt, Section

# Checkpoints in the repository; dvc.yaml names them as dependencies.
EMBEDDED = ("models/siglip2-tiny-patch16-128", "models/siglip2-tiny-naflex")

# Kinds of datasets that lie at runtime.dataset_root, with a split of their own or a seeded one.
OWN_KINDS = ("folder", "coco_json")

# Neighbours of the baselines that are kept for votes with another K, at least.
KEPT_NEIGHBOURS = 100


def watched_inputs(kind: str, dataset: str, checkpoint: str) -> list[str]:
    """The required ``runtime.watch``: inputs whose changes DVC does not see by itself.

    Imported features are not among them: ``backbone.revision`` is the digest of their content.

    Args:
        kind: ``dataset.kind``.
        dataset: ``dataset.name``.
        checkpoint: ``backbone.checkpoint``.
    """
    # Mojicoco under another name has no file in Git that stands for it.
    source = [f"source/{dataset}"] if {kind, dataset} != {"mojicoco"} else []
    return source + ([f"weights/{checkpoint}"] if checkpoint not in (*EMBEDDED, IMPORTED) else [])


def check_dataset(dataset: DatasetParams, runtime: RuntimeParams) -> None:
    """Refuse a name, protocol or root that does not suit the kind of dataset.

    Raises:
        ValueError: One does not.
    """
    kind, name, protocol = dataset.kind, dataset.name, dataset.protocol
    if name in ("mojicoco", "coco2014") and name != kind:
        raise ValueError(
            f"dataset.kind = {kind}: dataset.name = {name} is that of the dataset of this kind: "
            f"set dataset.kind to {name}, or choose another name"
        )
    own = kind in OWN_KINDS
    if kind == "mojicoco" and protocol == "hashnet":
        raise ValueError(
            "dataset.protocol = hashnet: its lists name images of COCO 2014, so with "
            "dataset.kind = mojicoco only `karpathy` or `standard` is possible"
        )
    if own != (protocol == "own"):
        allowed = "only `own` is" if own else "`own` is not"
        raise ValueError(
            f"dataset.protocol = {protocol}: with dataset.kind = {kind} {allowed} possible"
        )
    key, root, content, command = (
        ("dataset_root", runtime.dataset_root, "the dataset", f"{kind} --root FOLDER --name NAME")
        if own
        else (
            "coco_root",
            runtime.coco_root,
            "images/ and annotations/",
            "coco2014 --coco-root FOLDER",
        )
    )
    if kind != "mojicoco" and not Path(root).is_absolute():
        raise ValueError(
            f"runtime.{key} = {root!r}: dataset.kind = {kind} needs the absolute path of the "
            f"folder that holds {content} (queued experiments run in a copy of the repository, "
            f"where a relative path would lead elsewhere): `smhash use {command}` sets both"
        )


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

    @property
    def monitored_vote(self) -> KnnParams | None:
        """The vote that chooses the best epoch of a fit; None where the classifier does."""
        return self.knn if self.training.follows_vote else None

    @property
    def kept_neighbours(self) -> int:
        """Neighbours that a search without codes of the head keeps for the vote."""
        return max(KEPT_NEIGHBOURS, self.knn.K)

    @model_validator(mode="after")
    def _combinations(self) -> Self:
        if self.knn.distance == "hybrid":
            check_shortlist(self.knn.shortlist, self.knn.K)
        check_distance(self.knn.distance, self.hash.bits)
        if self.index.kind == "multihash":
            check_multihash(self.index.multihash, self.hash.bits, self.knn.distance)
        if self.training.closed_form and self.hash.bits and self.hash.shortcut == "none":
            raise ValueError(
                "training.closed_form = true: the head without gradients is a linear map, so "
                "hash.shortcut = none is not possible with it: set it to itq or random, or "
                "training.closed_form to false"
            )
        if self.scheduler.warmup_epochs >= self.training.num_epochs:
            raise ValueError(
                f"scheduler.warmup_epochs = {self.scheduler.warmup_epochs}: must be less than "
                f"training.num_epochs = {self.training.num_epochs}"
            )
        for key, rate in (
            ("optimizer.lr", self.optimizer.lr),
            ("baselines.mlp_lr", self.baselines.mlp_lr),
        ):
            if self.scheduler.type != "constant" and self.scheduler.min_lr > rate:
                raise ValueError(
                    f"scheduler.min_lr = {self.scheduler.min_lr}: must not exceed {key} = {rate}"
                )
        check_dataset(self.dataset, self.runtime)
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
        watched = watched_inputs(self.dataset.kind, self.dataset.name, self.backbone.checkpoint)
        if list(self.runtime.watch) != watched:
            raise ValueError(
                f"runtime.watch = {list(self.runtime.watch)}: with this dataset.name and "
                f"backbone.checkpoint it must be {watched}; `smhash use -S KEY=VALUE` sets both, "
                f'for an experiment add -S "runtime.watch=[{",".join(watched)}]"'
            )
        return self
