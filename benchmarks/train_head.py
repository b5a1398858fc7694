"""Speed of the head's fit on embeddings of COCO's size, against a plain DataLoader and loop.

    python benchmarks/train_head.py [--annotations FOLDER] [--batch-size 32 --accumulation 2]

draws unnormalised embeddings of 113,287 images with five captions each, D = 768 (2.1 GB in a
temporary folder; real labels where FOLDER has them), times some hundred updates of the project and
of a loop in the form that training scripts have (Dataset, DataLoader, one micro-batch at a time, a
loss read at each), in turns, and takes the best turn of each. The loop gets the same head, loss,
optimiser and batches, and of 0 and 2 loader processes what is faster.

``minutes_30_epochs`` is extrapolated: 30 x (the start of an epoch + its updates at the measured
rate + a validation of 5,000 pairs + a recorded state), each of which was timed. The last line is
JSON. Goal: 12 minutes on 2 CPU cores, 30 s on a GPU.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# The project first: it pins the CPU kernels before a numerical library is loaded.
from benchmarks.devices import describe_device
from benchmarks.plain_training_loop import loop_seconds
from benchmarks.real_labels import CLASSES
from benchmarks.synthetic_features import CAPTIONS, Features, write_features
from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import Params, load_params
from siglip2_multimodal_hash.training.checkpoint import BestEpoch, FitState, Fitted, unfinished_fit
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.epoch import EpochTrainer
from siglip2_multimodal_hash.training.loop import build_trainer
from siglip2_multimodal_hash.training.seeding import seed_everything
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.validation import validate

# isort: split
import torch

IMAGES, WIDTH, VAL, EPOCHS = 113_287, 768, 5_000, 30
ROOT = Path(__file__).resolve().parents[1]


class _EnoughError(Exception):
    """The updates to be timed are done."""


def settings_of(params: Params, **training: Any) -> FitSettings:
    """The project's settings with some values of ``training`` changed."""
    changed = params.training.model_copy(update=training)
    return replace(FitSettings.from_params(params), training=changed)


def project_seconds(trainer: EpochTrainer, updates: int) -> tuple[float, float]:
    """Seconds from the start of an epoch to the end of its first update, and of a later update."""
    ends: list[float] = []

    def note(update: int) -> None:
        if update in (1, updates):
            finish(trainer.precision.device)
            ends.append(time.perf_counter())
        if update == updates:
            raise _EnoughError

    timed = replace(trainer, after_update=note)
    start = time.perf_counter()
    with contextlib.suppress(_EnoughError):
        timed.run(1, 0, lambda *_: None)
    first, last = ends
    return first - start, (last - first) / (updates - 1)


def overhead_seconds(
    trainer: EpochTrainer, val: ValidationData, params: Params, folder: Path
) -> float:
    """Seconds of a validation and of recording the state."""
    fitted = Fitted(trainer.network, trainer.optimizer, trainer.scaler)
    state = FitState(1, [{"epoch": 1}], BestEpoch())
    start = time.perf_counter()
    _, figures = validate(
        trainer.network, trainer.loss, val, trainer.precision, trainer.settings, place="val"
    )
    state.best.offer(1, figures["mAP"], trainer.network)
    with unfinished_fit(folder / "head", params.checkpointing, {}) as work:
        work.record(state, figures["mAP"], fitted)
    return time.perf_counter() - start


def best_of(turns: int, *ways: Callable[[], Any]) -> list[list[Any]]:
    """Results of each way, called in turns: a busy machine then slows all of them alike."""
    results: list[list[Any]] = [[] for _ in ways]
    for _ in range(turns):
        for way, found in zip(ways, results, strict=True):
            found.append(way())
    return results


def compare(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Time both and extrapolate."""
    params = load_params(ROOT / "params.yaml")
    settings = settings_of(
        params, batch_size=arguments.batch_size, accumulation_steps=arguments.accumulation
    )
    device = choose_device(params.runtime.device)
    print("drawing the embeddings", flush=True)
    features = write_features(folder, arguments.images, arguments.width, arguments.annotations)
    width, seed = arguments.width, params.seed
    config = HeadConfig.from_params(params, width, width, CLASSES)
    seed_everything(seed)
    train = TrainingData.select(torch.arange(arguments.images).numpy(), **features._asdict())
    effective = arguments.batch_size * arguments.accumulation
    per_epoch = arguments.images // effective
    trainer = build_trainer(HashNetwork(config).to(device), train.to(device), settings, per_epoch)
    updates = min(arguments.updates, per_epoch)
    print("timing", flush=True)
    ours, *theirs = best_of(
        arguments.turns,
        lambda: project_seconds(trainer, updates),
        *(
            lambda workers=workers: loop_seconds(
                features, config, settings, device, updates=updates, workers=workers
            )
            for workers in (0, 2)
        ),
    )
    start = min(first for first, _ in ours)
    update, loop_update = min(later for _, later in ours), min(map(min, theirs))
    extra = overhead_seconds(trainer, validation(features).to(device), params, folder)
    return {
        "images": arguments.images,
        "effective_batch": effective,
        "updates_timed": updates,
        "samples_per_second": round(effective / update),
        "dataloader_samples_per_second": round(effective / loop_update),
        "speedup_vs_dataloader": round(loop_update / update, 2),
        "seconds_an_epoch_outside_updates": round(start + extra, 2),
        "minutes_30_epochs": round(EPOCHS * (start + per_epoch * update + extra) / 60, 2),
        "device": describe_device(device),
    }


def validation(features: Features) -> ValidationData:
    """The first images, each with the first of its captions."""
    rows = torch.arange(min(VAL, len(features.labels))).numpy()
    firsts = features.caption[::CAPTIONS]
    image, labels = features.image, features.labels
    return ValidationData.select(rows, image=image, caption=firsts, labels=labels)


def finish(device: torch.device) -> None:
    """Wait for what a card still computes; a CPU has computed it when a call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", type=Path, metavar="FOLDER", help="real labels")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--width", type=int, default=WIDTH, help="D")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--accumulation", type=int, default=2)
    parser.add_argument("--updates", type=int, default=200, help="timed, a turn")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.images < 2 * arguments.batch_size * arguments.accumulation:
        raise InputError("--images: must make two updates at least", "raise it")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(compare(arguments, Path(folder))))


if __name__ == "__main__":
    run_guarded(main)
