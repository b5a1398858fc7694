"""The training loop of the towers: one pass over an endless stream, one learning-rate cycle."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from transformers import Siglip2Tokenizer

from models.pretrain import parallel, towers
from models.pretrain.checkpoints import OURS, Progress, export_checkpoint, load_state, save_state
from models.pretrain.curve import write_curve
from models.pretrain.loss import positive_pairs, sigmoid_loss
from models.pretrain.scenes import VALIDATION, VALIDATION_SCENES, endless
from models.pretrain.towers import Towers
from models.pretrain.zero_shot import labelled_scenes, zero_shot_map
from siglip2_multimodal_hash.files import require_free


class Batch(Protocol):
    """The part of a batch that the loop itself reads; images are the towers' business."""

    @property
    def tokens(self) -> Tensor:
        """int64 [T, 64]."""

    @property
    def codes(self) -> Tensor:
        """int64 [B, n], fingerprints of the texts."""


AnyBatch = TypeVar("AnyBatch", bound=Batch)


@dataclass(frozen=True)
class Plan:
    """Settings of a training; the learning rate follows the clock, not a number of steps."""

    minutes: float
    peak_lr: float = 2e-3
    warm_up: float = 0.04
    """Share of the time in which the rate climbs from 0 to its peak; it then falls to 0."""
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    clip_norm: float = 1.0
    bfloat16: bool = True
    validate_every: float = 2.0
    """Minutes between points of the curve."""
    save_every: float = 5.0
    """Minutes between saved states; each is exported too."""


@dataclass(frozen=True)
class Places:
    """Folders and files that a training writes."""

    out: Path
    """Folder of the checkpoint."""
    state: Path
    """Folder of the resumable state."""
    curve: Path
    """CSV of (minutes, samples, loss, zero_shot_map), one row per validation."""


@dataclass(frozen=True)
class Course(Generic[AnyBatch]):
    """Towers, batches and the evaluation of a training."""

    model: Towers
    batches: Callable[[int], Iterator[AnyBatch]]
    """Batches from a given one on."""
    encode_images: Callable[[AnyBatch], Tensor]
    """[B, D] features of a batch's images."""
    encode_texts: Callable[[Tensor], Tensor]
    """int64 [T, 64] -> [T, D]."""
    validate: Callable[[], float]
    """Zero-shot macro mAP; called in process 0 only, as is ``export``."""
    export: Callable[[], None]
    """Write the checkpoint in its present state."""


def scene_course(
    model: Towers,
    tokenizer: Siglip2Tokenizer,
    *,
    make_batch: Callable[[int], AnyBatch],
    encode_images: Callable[[AnyBatch], Tensor],
    square_features: Callable[[Tensor], Tensor],
    out: Path,
    workers: int,
) -> Course[AnyBatch]:
    """A course on mojicoco's scenes: texts and evaluation are the same for all towers.

    Args:
        model: The towers, on their device.
        tokenizer: The texts' tokenizer.
        make_batch: A batch from its number; picklable where there are workers.
        encode_images: [B, D] features of a batch's images.
        square_features: uint8 [B, 128, 128, 3] on the device -> [B, D], for the evaluation.
        out: Folder of the checkpoint.
        workers: See :func:`.endless`.
    """
    device = model.logit_scale.device

    def text_features(tokens: Tensor) -> Tensor:
        return towers.text_features(model, tokens)

    return Course(
        model=model,
        batches=lambda start: endless(make_batch, start, workers),
        encode_images=encode_images,
        encode_texts=torch.compile(text_features),
        validate=lambda: zero_shot_map(
            labelled_scenes(VALIDATION, VALIDATION_SCENES),
            tokenizer,
            lambda pixels: square_features(pixels.to(device)),
            lambda tokens: text_features(tokens.to(device)),
        ),
        export=lambda: export_checkpoint(out, model, tokenizer),
    )


def learning_rate(progress: float, plan: Plan) -> float:
    """The rate at a share ``progress`` of the time: a linear climb, then a linear fall to 0."""
    if progress < plan.warm_up:
        return plan.peak_lr * progress / plan.warm_up
    return plan.peak_lr * max(0.0, (1.0 - progress) / (1.0 - plan.warm_up))


def make_optimizers(model: nn.Module, plan: Plan) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices of the encoders, AdamW for everything else.

    Biases, norms, temperature and bias of the loss do not decay.
    """
    inner = [w for n, w in model.named_parameters() if w.ndim == 2 and ".layers." in n]
    taken = {id(weight) for weight in inner}
    others = [weight for weight in model.parameters() if id(weight) not in taken]
    groups = [
        {"params": [w for w in others if w.ndim >= 2], "weight_decay": plan.weight_decay},
        {"params": [w for w in others if w.ndim < 2], "weight_decay": 0.0},
    ]
    return (
        torch.optim.AdamW(groups, lr=plan.peak_lr, betas=plan.betas, fused=True),
        torch.optim.Muon(
            inner,
            lr=plan.peak_lr,
            weight_decay=plan.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
    )


def pretrain(
    course: Course[AnyBatch],
    plan: Plan,
    places: Places,
    clock: Callable[[], float] = monotonic,
) -> None:
    """Train until the time is up; go on from the state if there is one.

    Ctrl-C loses what came after the last saved state, and nothing else. A finished training goes
    on when it is given more time: its rate then rises to where that longer cycle would be.

    Args:
        course: Towers, batches and evaluation.
        plan: Settings.
        places: Folders and files to write.
        clock: Seconds from any start; the time from one call to another counts.

    Raises:
        DataError: The saved state belongs to another architecture.
        InputError: A place holds something else.
    """
    require_free(places.state, ours=OURS)
    require_free(places.curve)
    model = course.model
    optimizers = make_optimizers(model, plan)
    progress = load_state(places.state, model, optimizers) or Progress()
    if not progress.steps and not parallel.rank():
        course.export()  # others can work with the files while the weights come
    batches = course.batches(progress.steps)
    first = next(batches)
    with parallel.first_then_others():
        _compile(course, plan, first)
    batches = chain((first,), batches)
    began = clock() - 60 * progress.minutes
    losses: list[float] = []
    while progress.minutes < plan.minutes:
        rate = learning_rate(progress.minutes / plan.minutes, plan)
        for group in chain.from_iterable(optimizer.param_groups for optimizer in optimizers):
            group["lr"] = rate
        loss, size = backward(course, plan, next(batches))
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        losses.append(loss)
        progress = progress.after_step(size, parallel.agree((clock() - began) / 60))
        over = progress.minutes >= plan.minutes
        if over or progress.minutes >= progress.validated + plan.validate_every:
            score = parallel.agree(0.0 if parallel.rank() else course.validate())
            row = (progress.minutes, progress.samples, sum(losses) / len(losses), score)
            progress = progress.noting(row)
            losses.clear()
            if not parallel.rank():
                write_curve(places.curve, progress.curve)
                print("{:6.1f} min  {:8d} scenes  loss {:.4f}  mAP {:.4f}".format(*row), flush=True)
        if over or progress.minutes >= progress.saved + plan.save_every:
            progress = progress.just_saved()
            if not parallel.rank():
                save_state(places.state, model, optimizers, progress)
                course.export()


def _features(
    course: Course[AnyBatch], plan: Plan, batch: AnyBatch
) -> tuple[Tensor, Tensor, torch.device]:
    device = course.model.logit_scale.device
    with torch.autocast(device.type, torch.bfloat16, enabled=plan.bfloat16):
        images = course.encode_images(batch)
        texts = course.encode_texts(batch.tokens.to(device))
    return images.float(), texts.float(), device


def _compile(course: Course[AnyBatch], plan: Plan, batch: AnyBatch) -> None:
    """Run both towers forth and back once, so that no process waits for a compiler later."""
    images, texts, _ = _features(course, plan, batch)
    torch.autograd.backward(images.sum() + texts.sum())
    course.model.zero_grad(set_to_none=True)


def backward(course: Course[AnyBatch], plan: Plan, batch: AnyBatch) -> tuple[float, int]:
    """Leave the clipped gradient of the whole batch's loss; return that loss and the batch's B."""
    model = course.model
    images, texts, device = _features(course, plan, batch)
    codes = parallel.gather(batch.codes.to(device))
    loss = sigmoid_loss(
        parallel.gather(images),
        parallel.gather_texts(texts, codes.shape[1]),
        model.logit_scale,
        model.logit_bias,
        positive_pairs(codes),
    )
    torch.autograd.backward(loss)
    parallel.sum_gradients(model, (model.logit_scale, model.logit_bias))
    torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip_norm)
    return loss.item(), len(codes)
