"""Fit a head: epochs, validation, early stopping, checkpoints."""

import contextlib
import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siglip2_multimodal_hash.device import choose_device, choose_precision, threads_of_fit
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.lengths import require_computable, warn_of_lengths
from siglip2_multimodal_hash.memory.limits import (
    EMERGENCY_PRESET,
    explained_out_of_memory,
    release_cache,
)
from siglip2_multimodal_hash.models.alignment import learned_scale
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.losses import HeadLoss, positive_weights
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import CheckpointingParams, TrainingParams
from siglip2_multimodal_hash.progress import phase
from siglip2_multimodal_hash.resume import computation
from siglip2_multimodal_hash.training.batches import epochs_of_fit, updates_per_epoch
from siglip2_multimodal_hash.training.checkpoint import (
    BestEpoch,
    EpochRecord,
    FitState,
    Fitted,
    UnfinishedFit,
    unfinished_fit,
)
from siglip2_multimodal_hash.training.closed_form import closed_form_weights
from siglip2_multimodal_hash.training.collapse import (
    constant_bits,
    direction_figures,
    warn_of_collapse,
)
from siglip2_multimodal_hash.training.data import (
    TrainingData,
    ValidationData,
    row_lengths,
    rows_sha256,
)
from siglip2_multimodal_hash.training.epoch import EpochTrainer
from siglip2_multimodal_hash.training.monitor import MONITORED, vote_figures
from siglip2_multimodal_hash.training.progress import FitProgress, fit_progress
from siglip2_multimodal_hash.training.schedule import learning_rate
from siglip2_multimodal_hash.training.seeding import seed_everything
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.trackers import (
    Live,
    Trackers,
    epoch_figures,
    open_trackers,
    step_figures,
)
from siglip2_multimodal_hash.training.validation import run_head, validate

logger = logging.getLogger(__name__)

_LIBRARIES = ("numpy", "safetensors", "torch")
_CODE = tuple(f"{room}/**/*.py" for room in ("models", "retrieval", "evaluation", "training"))
_LESS_MEMORY = (
    "lower training.batch_size and raise training.accumulation_steps by the same factor, "
    f"or run `smhash use {EMERGENCY_PRESET}`, which does that; narrower "
    "fusion.mlp_dims need less, too, and runtime.device = cpu uses the machine's memory"
)


@dataclass(frozen=True)
class Checkpoints:
    """Folder of a fit's checkpoints, and the rule for those it keeps.

    ``live`` is for the trackers that ``runtime.logging`` asks for; None opens none.
    """

    folder: Path
    params: CheckpointingParams
    live: Live | None = None


@dataclass
class FitResult:
    """Result of a fit: the network with the weights of its best epoch, in eval mode."""

    network: HashNetwork
    best_epoch: int  # counted from 1; 0 for the closed form
    val_map: float  # of the classifier, in that epoch
    history: list[EpochRecord]  # a record per epoch, and one of the closed form, see `fit`


def fit(
    config: HeadConfig,
    train: TrainingData,
    val: ValidationData,
    settings: FitSettings,
    checkpoints: Checkpoints | None = None,
    after_epoch: Callable[[], None] | None = None,
) -> FitResult:
    """Fit a head on cached embeddings.

    Every epoch draws the order of the images and one caption of each, from (seed, epoch). Updates
    are AdamW's, at a rate set for each (see :mod:`.schedule`), with the gradient's norm clipped.
    Validation is done every ``val_every_n_epochs`` and after the last epoch; the fit stops when
    ``early_stopping_patience`` validations in a row bring no better figure of ``training.monitor``.

    With ``training.closed_form`` a head without gradients is judged first, as epoch 0: see
    :mod:`.closed_form`. No epoch's weights depend on it. Its record has the ``val_`` part alone.

    The history has a record per epoch: ``epoch``, ``lr`` (of the epoch's last update),
    ``temperature`` where it is learned, ``train_total``, ``train_bce`` and the other parts that
    apply, and where the epoch was validated the same under ``val_``, ``val_mAP``, the monitored
    figure, and the signs of a collapse (:mod:`.collapse`).

    Args:
        config: Shape of the head.
        train: Images with all their captions.
        val: Images with the caption embedding that evaluation uses.
        settings: Sections of params.yaml.
        checkpoints: Those to keep, and their folder (see :mod:`.checkpoint`). The folder appears
            when the fit is complete. When it fails, is interrupted or killed, its whole epochs stay
            beside it, and the next call goes on from there to the same bytes; see
            :mod:`..resume`. None leaves nothing.
        after_epoch: Called after every epoch.

    Raises:
        InputError: A parameter does not suit the data or the device, the loss diverges, or memory
            runs out; the message names the parameter.
        DataError: Data and config differ in width, an embedding is too long to compute with, no val
            image has a label, the disk is full, or another process fits into the same folder.
    """
    _require_widths(config, train, val)
    _check_lengths(config, train, val)
    device = choose_device(settings.runtime.device)
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            explained_out_of_memory(
                f"training.batch_size = {settings.training.batch_size}", _LESS_MEMORY
            )
        )
        seed_everything(settings.seed)
        network = settings.start.build(config).to(device)
        pairs = settings.training.batch_size * settings.training.accumulation_steps
        stack.enter_context(threads_of_fit(network, pairs, device))
        work = None
        if checkpoints is not None:
            with phase("digests of the data"):
                made_by = _fingerprint(config, train, val, settings, checkpoints.params, device)
            work = stack.enter_context(
                unfinished_fit(
                    checkpoints.folder,
                    checkpoints.params,
                    made_by,
                    MONITORED[settings.training.monitor],
                )
            )
        live = None if checkpoints is None else checkpoints.live
        return _run_epochs(
            network, train.to(device), val.to(device), settings, work, live, after_epoch
        )


def _run_epochs(
    network: HashNetwork,
    train: TrainingData,
    val: ValidationData,
    settings: FitSettings,
    work: UnfinishedFit | None,
    live: Live | None,
    after_epoch: Callable[[], None] | None,
) -> FitResult:
    params = settings.training
    updates = updates_per_epoch(len(train), params)
    trainer = build_trainer(network, train, settings, updates)
    fitted = Fitted(network, trainer.optimizer, trainer.scaler, trainer.loss.scale)
    # Before what a fit that is continued restores: the start is needed to tell a collapse.
    prior = trainer.loss.prior_logits(train.labels)
    with phase("start of the head"):
        settings.start.apply(network, train.first_pairs, train.sample_pairs, prior, settings.seed)
    unfitted = (
        direction_figures(run_head(network, val, trainer.precision))
        if network.config.trains_directions
        else {}
    )
    state = FitState() if work is None else work.restore(fitted)
    if params.closed_form and network.config.shortcut and not state.epoch:
        with phase("closed form"):
            _judge_closed_form(trainer, val, state, prior)
        if work is not None and state.best.weights:
            work.keep_best(state)
    if network.config.bits and not network.config.classifier_bias:
        logger.warning(
            "classifier.use_bias = false: the classifier cannot start at the classes' log odds, "
            "and the bits mostly collapse to constants; set classifier.use_bias to true"
        )
    best, logs = state.best, settings.runtime.logging
    head = network.config.to_json()
    with (
        open_trackers(logs, live, state.epoch * updates, head) as trackers,
        fit_progress(trainer.epochs, updates, done=state.epoch) as progress,
    ):
        while state.epoch < trainer.epochs and not _exhausted(best, params):
            score = _run_epoch(trainer, val, state, updates, trackers, progress)
            warn_of_collapse(progress.title, state.history, unfitted, settings.loss, network.config)
            if work is not None:
                work.record(state, score, fitted)
            if after_epoch is not None:
                after_epoch()
    monitored = MONITORED[params.monitor]
    if _exhausted(best, params):
        logger.info(
            "stopped after epoch %d: no better %s than %.4f (epoch %d) in %d validations",
            state.epoch,
            monitored.replace("_", " "),
            best.score,
            best.epoch,
            best.validations_since,
        )
    if work is not None:
        work.complete(network.config, state, network)
    network.load_state_dict(best.weights)
    val_map = next(one["val_mAP"] for one in state.history if one["epoch"] == best.epoch)
    return FitResult(network.eval(), best.epoch, val_map, state.history)


def _judge_closed_form(
    trainer: EpochTrainer, val: ValidationData, state: FitState, prior: Tensor
) -> None:
    """Add the head of :mod:`.closed_form` to ``state`` as epoch 0; the fit starts as without it.

    It is left out where it solves nothing: for training labels, or embeddings, that are all alike.
    """
    network = trainer.network
    start = {name: v.clone() for name, v in network.state_dict().items()}
    network.load_state_dict(
        closed_form_weights(network, trainer.data, val, prior, trainer.settings.seed)
    )
    record, score = _validated(trainer, val, "closed form")
    if constant_bits(record):
        logger.warning(
            "closed form: left out, because its bits tell hardly any val items apart: mean entropy "
            "%.3f of 1",
            record["val_bit_entropy"],
        )
    else:
        state.history.append({"epoch": 0, **record})
        state.best.offer(0, score, network)
        monitored = MONITORED[trainer.settings.training.monitor]
        logger.info("closed form: %s %.4f", monitored.replace("_", " "), score)
    network.load_state_dict(start)


def _run_epoch(
    trainer: EpochTrainer,
    val: ValidationData,
    state: FitState,
    updates: int,
    trackers: Trackers,
    progress: FitProgress,
) -> float | None:
    """Add an epoch to ``state``; its monitored figure, or None where it is not validated."""
    settings, network, best = trainer.settings, trainer.network, state.best
    params, epoch = settings.training, state.epoch + 1
    before = state.epoch * updates
    monitored = MONITORED[params.monitor]
    known = {f"best_{monitored}": best.score} if best.weights else {}
    progress.begin(epoch, known)

    def report(done: int, figures: Mapping[str, float]) -> None:
        progress.report(done, figures)
        trackers.log(step_figures(figures), before + done)

    train_losses = trainer.run(epoch, before, report)
    record: EpochRecord = {"epoch": epoch, "lr": trainer.learning_rate(epoch * updates - 1)}
    if trainer.loss.scale is not None:
        record["temperature"] = 1 / trainer.loss.scale.scale().item()
    record |= {f"train_{name}": value for name, value in train_losses.items()}
    score = None
    if epoch % params.val_every_n_epochs == 0 or epoch == trainer.epochs:
        validated, score = _validated(trainer, val, progress.title)
        record |= validated
        best.offer(epoch, score, network)
    state.history.append(record)
    state.epoch = epoch
    progress.finish({k: v for k, v in record.items() if k != "epoch"})
    trackers.log(epoch_figures(record), before + updates)
    return score


def _validated(trainer: EpochTrainer, val: ValidationData, title: str) -> tuple[EpochRecord, float]:
    """The ``val_`` part of a record, and the monitored figure."""
    network, settings = trainer.network, trainer.settings
    losses, figures = validate(network, trainer.loss, val, trainer.precision, settings, place=title)
    if (vote := settings.vote) is not None:
        policy = settings.eval_caption
        figures |= vote_figures(network, trainer.data, val, vote, policy)
    record: EpochRecord = {f"val_{name}": value for name, value in (losses | figures).items()}
    return record, record[MONITORED[settings.training.monitor]]


def _exhausted(best: BestEpoch, params: TrainingParams) -> bool:
    return best.validations_since >= params.early_stopping_patience


def _fingerprint(
    config: HeadConfig,
    train: TrainingData,
    val: ValidationData,
    settings: FitSettings,
    checkpointing: CheckpointingParams,
    device: torch.device,
) -> dict[str, Any]:
    """Everything that decides the bytes of a fit, under the parameters' names."""
    sections = {
        "loss": settings.loss,
        "training": settings.training,
        "scheduler": settings.scheduler,
        "checkpointing": checkpointing,
    }
    values: dict[str, Any] = {f"head.{key}": value for key, value in config.to_json().items()}
    for name, section in sections.items():
        values |= {f"{name}.{key}": value for key, value in section.model_dump().items()}
    values |= {f"optimizer.{key}": value for key, value in asdict(settings.adam).items()}
    values |= {
        settings.lr_name: settings.lr,
        "start": asdict(settings.start),
        "vote": None if settings.vote is None else settings.vote.model_dump(),
        "dataset.eval_caption": settings.eval_caption,
        "seed": settings.seed,
        "training data": rows_sha256(
            train.v_img, train.captions, train.caption_offsets, train.labels
        ),
        "validation data": rows_sha256(val.v_img, val.v_txt, val.labels),
        **computation(device, _CODE, _LIBRARIES),
    }
    return values


def build_trainer(
    network: HashNetwork, train: TrainingData, settings: FitSettings, updates: int
) -> EpochTrainer:
    """Build the trainer that runs an epoch of ``updates`` updates.

    Args:
        network: On the device.
        train: The labels on the device, too; see :meth:`.TrainingData.to`.
        settings: Sections of params.yaml.
        updates: Number per epoch.
    """
    adam, device = settings.adam, train.labels.device
    precision = choose_precision(settings.training.mixed_precision, device)
    weighted = settings.loss.imbalance == "class_weights"
    epochs = epochs_of_fit(len(train), settings.training)
    warmup = settings.scheduler.warmup_epochs * epochs / settings.training.num_epochs
    scale = learned_scale(settings.loss, network.config)
    weights: list[dict[str, Any]] = [{"params": list(network.parameters())}]
    if scale is not None:
        weights.append({"params": list(scale.to(device).parameters()), "weight_decay": 0.0})
    return EpochTrainer(
        network=network,
        loss=HeadLoss(
            settings.loss,
            positive_weights(train.labels) if weighted else None,
            network.classifier,
            scale,
        ),
        data=train,
        optimizer=torch.optim.AdamW(
            weights,
            lr=settings.lr,
            betas=adam.betas,
            eps=adam.eps,
            weight_decay=adam.weight_decay,
            fused=True,  # one pass over memory instead of a dozen
        ),
        scaler=torch.amp.GradScaler(device.type, enabled=precision.scaled),
        precision=precision,
        settings=settings,
        epochs=epochs,
        learning_rate=functools.partial(
            learning_rate,
            peak_lr=settings.lr,
            min_lr=settings.scheduler.min_lr,
            warmup_updates=round(warmup * updates),
            total_updates=epochs * updates,
            decay=settings.scheduler.type,
        ),
        after_update=release_cache(settings.runtime.memory.empty_cache_steps, device),
    )


def _check_lengths(config: HeadConfig, train: TrainingData, val: ValidationData) -> None:
    if config.fusion == "raw":
        return
    for name, other, of_train, of_val in (
        ("image", "caption", train.v_img, val.v_img),
        ("caption", "image", train.captions, val.v_txt),
    ):
        if config.modalities == other:
            continue
        lengths, held_out = row_lengths(of_train), row_lengths(of_val)
        require_computable(f"{name}.npy, training split", lengths)
        require_computable(f"{name}.npy, validation split", held_out)
        warn_of_lengths(
            f"{name}.npy", lengths, eps=config.eps, magnitude="magnitude" in config.fusion
        )


def _require_widths(config: HeadConfig, train: TrainingData, val: ValidationData) -> None:
    expected = (config.image_dim, config.caption_dim, config.classes)
    for split, tensors in (
        ("training", (train.v_img, train.captions, train.labels)),
        ("validation", (val.v_img, val.v_txt, val.labels)),
    ):
        found = tuple(v.shape[1] for v in tensors)
        if found != expected:
            raise DataError(
                f"{split} split: widths of image embeddings, caption embeddings and labels are "
                f"{found}, the head is built for {expected}",
                "the embeddings and the index do not belong together: run `dvc repro`",
            )
