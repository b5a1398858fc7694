"""Tune the towers, with a copy of the head, and leave those of the best epoch as a checkpoint.

The head is built, started and trained as in :mod:`..loop`, on features that the towers make anew
for every batch. It is not kept: ``train`` fits one on the embeddings of the tuned towers.
"""

import contextlib
import functools
import logging
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.device import Precision, choose_device, choose_precision
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.features.towers import load_towers
from siglip2_multimodal_hash.files import replacing, size_text
from siglip2_multimodal_hash.memory.limits import (
    EMERGENCY_PRESET,
    explained_out_of_memory,
    free_memory,
)
from siglip2_multimodal_hash.memory.needs import Load, head_weights, require_head, require_memory
from siglip2_multimodal_hash.memory.towers import tower_sizes
from siglip2_multimodal_hash.models.alignment import learned_scale
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.losses import HeadLoss, positive_weights
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.checkpoint import EpochRecord
from siglip2_multimodal_hash.training.progress import fit_progress
from siglip2_multimodal_hash.training.schedule import learning_rate
from siglip2_multimodal_hash.training.seeding import epoch_seed, seed_everything
from siglip2_multimodal_hash.training.tuning.adapters import (
    make_trainable,
    merge_adapters,
    trainable_weights,
)
from siglip2_multimodal_hash.training.tuning.data import Split, batch_count
from siglip2_multimodal_hash.training.tuning.encoding import TowerEncoder
from siglip2_multimodal_hash.training.tuning.export import export_towers, remove_leftovers
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings
from siglip2_multimodal_hash.training.tuning.steps import TowerTrainer

logger = logging.getLogger(__name__)

# Pairs by whose features the head's inputs are standardised; a mean over more is hardly another.
STATISTICS_IMAGES = 2048
_LESS_MEMORY = (
    "lower tune.batch_size and raise tune.accumulation_steps by the same factor, or set "
    f"backbone.gradient_checkpointing to true; the preset {EMERGENCY_PRESET} does both"
)


@dataclass
class _BestEpoch:
    """The trained weights of the best epoch so far, in main memory."""

    epoch: int = 0
    val_map: float = -1.0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, epoch: int, val_map: float, weights: dict[str, Tensor]) -> None:
        if val_map > self.val_map:
            self.epoch, self.val_map = epoch, val_map
            self.weights = {name: v.detach().cpu().clone() for name, v in weights.items()}


def tune_towers(
    index: DatasetIndex, source: ImageSource, settings: TuneSettings, folder: Path
) -> list[EpochRecord]:
    """Train towers and head end to end on the train split, and select the epoch by val mAP.

    Every epoch draws the order of the images and one caption of each, from (seed, epoch). The
    folder (see :mod:`.tuned`) appears when all is done, and not at all after an error or a kill.

    Returns:
        One record per epoch: ``epoch``, ``lr`` of the towers at its last update, ``train_total``
        and the other parts of the loss, ``val_mAP``.

    Raises:
        InputError: The memory cannot hold it, the loss diverges, or a parameter does not suit the
            towers or the device; the message names the parameter.
        DataError: Images cannot be read, or no val image has a label.
    """
    remove_leftovers(folder)
    device = choose_device(settings.runtime.device)
    free = free_memory(device)
    # On the CPU first: whether the card can hold them is yet to be seen.
    towers = load_towers(settings.towers, torch.device("cpu"))
    seed_everything(settings.seed)
    if device.type == "cuda":
        # NaFlex resizes its position embeddings by a kernel whose gradient sums in any order.
        torch.use_deterministic_algorithms(True, warn_only=True)
    adapted = make_trainable(towers.model, settings)
    sizes = tower_sizes(settings.towers, towers.model.config.to_dict())
    config = settings.head(sizes.image.width, sizes.caption_dim, len(index.category_names))
    require_head(config, free)
    precision = choose_precision(settings.mixed_precision, device)
    load = tuning_load(towers.model, config, settings, precision)
    needs = require_memory(load, free, settings.mode)
    logger.info("tuning (%s) needs about %s, of %s free", settings.mode, needs, size_text(free))
    with contextlib.ExitStack() as stack:
        attempt = f"tune.batch_size = {load.batch}, where {needs} was expected"
        stack.enter_context(explained_out_of_memory(attempt, _LESS_MEMORY))
        towers.model.to(device)
        encoder = TowerEncoder(replace(towers, device=device), precision)
        network = settings.start.build(config).to(device)
        best, history = _run_epochs(encoder, network, index, source, settings)
    record = {
        "tune": settings.mode,
        "trained_weights": load.trained,
        "best_epoch": best.epoch,
        "val_mAP": best.val_map,
        "history": history,
    }
    towers.model.load_state_dict(best.weights, strict=False)
    merged = replace(towers, model=merge_adapters(adapted).cpu())
    with replacing(folder) as temporary:
        export_towers(temporary, merged, record)
    return history


def tuning_load(model: Any, head: HeadConfig, settings: TuneSettings, precision: Precision) -> Load:
    """The load of towers that are ready to be trained.

    Args:
        model: After :func:`.make_trainable`.
        head: The copy of the head beside them.
        settings: Batch size, lengths, checkpointing, ``tune.lora``.
        precision: Of the training.
    """
    lora = settings.tune.lora
    sizes = tower_sizes(settings.towers, model.config.to_dict())
    return Load(
        image=sizes.image,
        text=sizes.text,
        weights=sum(v.numel() for v in model.parameters()),
        trained=sum(v.numel() for v in trainable_weights(model).values()),
        head_weights=head_weights(head),
        adapter_values=lora.rank * len(lora.targets) if settings.mode == "lora" else 0,
        batch=settings.tune.batch_size,
        half=precision.dtype is not None,
        checkpointing=settings.gradient_checkpointing,
        cuda=precision.device.type == "cuda",
    )


def _run_epochs(
    encoder: TowerEncoder,
    network: HashNetwork,
    index: DatasetIndex,
    source: ImageSource,
    settings: TuneSettings,
) -> tuple[_BestEpoch, list[EpochRecord]]:
    tune = settings.tune
    train, val = Split.of(index, "train"), Split.of(index, "val")
    updates = math.ceil(batch_count(len(train), tune.batch_size) / tune.accumulation_steps)
    trainer = build_trainer(encoder, network, train, updates, settings)
    _start_head(network, trainer.loss, encoder, train, source, settings)
    best, history = _BestEpoch(), list[EpochRecord]()
    with fit_progress(tune.epochs, updates, name="towers, epoch") as progress:
        for epoch in range(1, tune.epochs + 1):
            progress.begin(epoch)
            before = (epoch - 1) * updates
            losses = trainer.run(epoch, before, source, train, progress.report)
            last_lr = settings.peak_lr * trainer.share_of_peak(before + updates - 1)
            record: EpochRecord = {"epoch": epoch, "lr": last_lr}
            record |= {f"train_{name}": value for name, value in losses.items()}
            record["val_mAP"] = _val_map(encoder, network, source, val, settings)
            best.offer(epoch, record["val_mAP"], trainable_weights(encoder.towers.model))
            history.append(record)
            progress.finish({k: v for k, v in record.items() if k != "epoch"})
    return best, history


def build_trainer(
    encoder: TowerEncoder,
    network: HashNetwork,
    train: Split,
    updates: int,
    settings: TuneSettings,
) -> TowerTrainer:
    """Build the trainer of an epoch of ``updates`` updates.

    Args:
        encoder: The towers, ready to be trained, on the device.
        network: The copy of the head, on the device.
        train: The training split.
        updates: Number per epoch.
        settings: Parameters of the tuning.
    """
    tune, adam, device = settings.tune, settings.adam, encoder.towers.device
    weighted = settings.loss.imbalance == "class_weights"
    precision = choose_precision(settings.mixed_precision, device)
    total = tune.epochs * updates
    groups: list[dict[str, Any]] = [
        {"params": list(trainable_weights(encoder.towers.model).values())},
        {"params": list(network.parameters())},
    ]
    scale = learned_scale(settings.loss, network.config)
    if scale is not None:
        groups.append({"params": list(scale.to(device).parameters()), "weight_decay": 0.0})
    return TowerTrainer(
        encoder=encoder,
        network=network,
        loss=HeadLoss(
            settings.loss,
            positive_weights(train.labels).to(device) if weighted else None,
            network.classifier,
            scale,
        ),
        optimizer=torch.optim.AdamW(
            groups,
            lr=settings.peak_lr,
            betas=adam.betas,
            eps=adam.eps,
            weight_decay=adam.weight_decay,
            fused=True,
        ),
        scaler=torch.amp.GradScaler(device.type, enabled=precision.scaled),
        precision=precision,
        settings=settings,
        total_updates=total,
        share_of_peak=functools.partial(
            learning_rate,
            peak_lr=1.0,
            min_lr=0.0,
            warmup_updates=int(tune.warmup_share * total),
            total_updates=total,
        ),
        peak_lrs=(settings.peak_lr, *[tune.head_lr] * (len(groups) - 1)),
    )


def _start_head(
    network: HashNetwork,
    loss: HeadLoss,
    encoder: TowerEncoder,
    train: Split,
    source: ImageSource,
    settings: TuneSettings,
) -> None:
    """Let the head start where `train` would let it: see :mod:`.initialisation`."""
    generator = torch.Generator().manual_seed(epoch_seed(settings.seed, 0))
    sample = train.first(STATISTICS_IMAGES, generator)
    seen = encoder.split(source, sample, "first", settings.runtime)
    seen = seen.to(encoder.towers.device)
    prior = loss.prior_logits(train.labels.to(encoder.towers.device))
    pairs = [(seen.v_img, seen.v_txt)]
    settings.start.apply(network, lambda: pairs, lambda: pairs, prior, settings.seed)


def _val_map(
    encoder: TowerEncoder,
    network: HashNetwork,
    source: ImageSource,
    val: Split,
    settings: TuneSettings,
) -> float:
    network.eval()
    seen = encoder.split(source, val, settings.eval_caption, settings.runtime)
    seen = seen.to(encoder.towers.device)
    _, scores = network.encode(seen.v_img, seen.v_txt)
    return mean_average_precision(scores.cpu().numpy(), val.labels.numpy()).value
