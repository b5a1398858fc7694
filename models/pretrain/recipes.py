"""The two recipes: the fixed-resolution towers from scratch, and the NaFlex ones from those."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, Siglip2Tokenizer, SiglipModel

from models.pretrain import parallel, scenes
from models.pretrain.loop import Course, Places, Plan, pretrain, scene_course
from models.pretrain.parallel import Share
from models.pretrain.scenes import BUDGETS, FlexibleBatch, SceneBatch
from models.pretrain.tokenizer import load_tokenizer, train_tokenizer
from models.pretrain.towers import (
    IMAGE_SIZE,
    PATCH_SIZE,
    fixed_config,
    flexible_features,
    image_features,
    naflex_from_fixed,
    new_fixed_model,
    position_weights,
    square_features,
)
from models.pretrain.zero_shot import class_prompts
from siglip2_multimodal_hash.datasets.mojicoco import alt_text, sample_scene
from siglip2_multimodal_hash.errors import DataError

BATCH_SIZE = 256
TOKENIZER_SCENES = 4_000
SEED = 0

FIXED_PLAN = Plan(minutes=110)
NAFLEX_PLAN = Plan(minutes=6, peak_lr=8e-4)
"""Both for two CPU cores. Trained weights move less per step than fresh ones."""


def train(places: Places, *, minutes: float | None, init: Path | None) -> None:
    """Train in this process, one of several or the only one.

    Args:
        places: Folders and files to write.
        minutes: Training time; None takes the plan's.
        init: Folder of the checkpoint to start the NaFlex towers from; None trains the
            fixed-resolution ones.

    Raises:
        DataError: See :func:`train_fixed` and :func:`train_naflex`.
    """
    # The library warns of default values of its own, which these configurations do not use.
    library: Any = transformers
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    # Second moments of the optimizer reach numbers so small that CPUs slow down on them.
    torch.set_flush_denormal(True)
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    # On a CPU each of the processes has one thread and renders its own scenes.
    workers = (os.cpu_count() or 1) if on_gpu else 0
    plan = FIXED_PLAN if init is None else NAFLEX_PLAN
    plan = plan if minutes is None else replace(plan, minutes=minutes)
    if init is None:
        train_fixed(plan, places, device=device, workers=workers)
    else:
        train_naflex(plan, init, places, device=device, workers=workers)


def learn_tokenizer(count: int = TOKENIZER_SCENES) -> Siglip2Tokenizer:
    """A tokenizer for the texts of the scenes, learned from ``count`` of them and the prompts."""

    def texts(number: int) -> tuple[str, ...]:
        scene = sample_scene(scenes.TOKENIZER, number)
        rng = np.random.default_rng((scenes.TOKENIZER, number))
        return (*scene.captions, alt_text(scene, rng))

    return train_tokenizer(chain(class_prompts(), *(texts(number) for number in range(count))))


def fixed_batch(tokenizer: Siglip2Tokenizer, share: Share, number: int) -> SceneBatch:
    """The share of batch ``number``, square scenes, that falls to this process."""
    first = number * BATCH_SIZE + share.rank * share.size
    return scenes.scene_batch(scenes.FIXED, first, share.size, tokenizer)


def naflex_batch(tokenizer: Siglip2Tokenizer, share: Share, number: int) -> FlexibleBatch:
    """The share of batch ``number``, scenes of any shape, that falls to this process."""
    first = number * BATCH_SIZE + share.rank * share.size
    most = BUDGETS[number % len(BUDGETS)]
    return scenes.flexible_batch(scenes.NAFLEX, first, share.size, most, tokenizer)


def train_fixed(plan: Plan, places: Places, *, device: torch.device, workers: int) -> None:
    """Train the fixed-resolution towers from scratch and export them.

    Args:
        plan: Settings of the training.
        places: Folders and files to write.
        device: Device of the towers.
        workers: Processes that render scenes; 0 renders in this one.

    Raises:
        DataError: The saved state belongs to another architecture.
    """
    share = Share.of(BATCH_SIZE)
    tokenizer = learn_tokenizer()
    model = new_fixed_model(fixed_config(len(tokenizer)), SEED)
    nn.Module.to(model, device)

    def features(pixels: Tensor) -> Tensor:
        return image_features(model, pixels)

    compiled_images: Callable[[Tensor], Tensor] = torch.compile(features)

    def encode_images(batch: SceneBatch) -> Tensor:
        return compiled_images(batch.pixels.to(device))

    course = scene_course(
        model,
        tokenizer,
        make_batch=partial(fixed_batch, tokenizer, share),
        encode_images=encode_images,
        square_features=features,
        out=places.out,
        workers=workers,
    )
    pretrain(course, plan, places)


def load_fixed(folder: Path) -> SiglipModel:
    """An exported fixed-resolution checkpoint, in float32.

    Raises:
        DataError: The folder holds none.
    """
    if not (folder / "config.json").exists():
        raise DataError(f"{folder}: holds no checkpoint", "train the fixed checkpoint first")
    kind = AutoConfig.from_pretrained(folder).model_type
    if kind != "siglip":
        raise DataError(
            f"{folder}: model type {kind!r} is not 'siglip'", "give a fixed-resolution checkpoint"
        )
    return SiglipModel.from_pretrained(folder, dtype=torch.float32)


def train_naflex(
    plan: Plan, init: Path, places: Places, *, device: torch.device, workers: int
) -> None:
    """Train the NaFlex towers, from fixed-resolution ones, and export them.

    Args:
        plan: Settings of the training.
        init: Folder of the fixed-resolution checkpoint.
        places: Folders and files to write.
        device: Device of the towers.
        workers: Processes that render scenes; 0 renders in this one.

    Raises:
        DataError: ``init`` holds no fixed-resolution checkpoint, or the saved state belongs to
            another architecture.
    """
    share = Share.of(BATCH_SIZE)
    tokenizer = load_tokenizer(init)
    model = naflex_from_fixed(load_fixed(init))
    nn.Module.to(model, device)

    def features(values: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        return flexible_features(model, values, mask, positions)

    # One compiled version per number of patches: faster than one for all of them.
    compiled_images: Callable[[Tensor, Tensor, Tensor], Tensor] = torch.compile(
        features, dynamic=False
    )

    def encode_images(batch: FlexibleBatch) -> Tensor:
        patches = batch.patches
        positions = position_weights(
            patches.shapes, patches.mask.shape[1], IMAGE_SIZE // PATCH_SIZE
        )
        return compiled_images(
            patches.values.to(device), patches.mask.to(device), positions.to(device)
        )

    course = scene_course(
        model,
        tokenizer,
        make_batch=partial(naflex_batch, tokenizer, share),
        encode_images=encode_images,
        square_features=partial(square_features, model),
        out=places.out,
        workers=workers,
    )
    with parallel.first_then_others():
        _compile_all_budgets(course, plan, tokenizer, share)
    pretrain(course, plan, places)


def _compile_all_budgets(
    course: Course[FlexibleBatch], plan: Plan, tokenizer: Siglip2Tokenizer, share: Share
) -> None:
    """Compile for each number of patches now, so that no process waits for a compiler later."""
    device = course.model.logit_scale.device
    for budget in sorted(set(BUDGETS)):
        batch = naflex_batch(tokenizer, share, BUDGETS.index(budget))
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.bfloat16):
            features = course.encode_images(batch)
        torch.autograd.backward(features.sum())
    course.model.zero_grad(set_to_none=True)
