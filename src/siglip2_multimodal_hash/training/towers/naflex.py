"""The NaFlex checkpoint: starts from the fixed-resolution one, goes on with images of any shape."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import AutoConfig, Siglip2Model, Siglip2Tokenizer, SiglipModel

from siglip2_multimodal_hash.datasets.mojicoco import render_scene, sample_scene
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.training.towers import forward, parallel
from siglip2_multimodal_hash.training.towers.architecture import (
    IMAGE_SIZE,
    PATCH_SIZE,
    naflex_from_fixed,
)
from siglip2_multimodal_hash.training.towers.export import NAFLEX_PATCHES
from siglip2_multimodal_hash.training.towers.flexible import (
    Patches,
    flexible_features,
    position_weights,
    reshaped,
    to_patches,
)
from siglip2_multimodal_hash.training.towers.parallel import Share
from siglip2_multimodal_hash.training.towers.pretraining import (
    Course,
    Places,
    Plan,
    pretrain,
    scene_course,
)
from siglip2_multimodal_hash.training.towers.stream import (
    NAFLEX,
    encode_scene_texts,
    scene_texts,
)
from siglip2_multimodal_hash.training.towers.tokenizer import load_tokenizer

BATCH_SIZE: Final = 256

NAFLEX_PLAN: Final = Plan(minutes=6, peak_lr=8e-4)
"""For two CPU cores. Trained weights move less at a time than fresh ones."""

BUDGETS: Final = (64, 36, 64, 100)
"""The most patches an image of batch 0, 1, 2, 3, 4, ... is cut into: by turns. The default of the
checkpoint comes most often."""

WIDEST: Final = 2.0
"""Images are at most this much wider than high, or higher than wide."""

_SQUARE: Final = 0.3
"""Share of the images that stay whole, and so square."""

_SHAPE_DRAWS: Final = 2
"""Sets the draws of a scene's shape apart from those of its texts."""


@dataclass(frozen=True)
class FlexibleBatch:
    """B scenes of many shapes with n texts each."""

    patches: Patches
    tokens: Tensor
    """int64 [n * B, 64]: the first text of each scene, then the second of each, and so on."""
    codes: Tensor
    """int64 [B, n], fingerprints of the texts."""


def load_fixed(folder: Path) -> SiglipModel:
    """An exported fixed-resolution checkpoint, in float32.

    Raises:
        DataError: the folder holds none.
    """
    if not (folder / "config.json").exists():
        raise DataError(f"{folder}: holds no checkpoint", "train the fixed checkpoint first")
    kind = AutoConfig.from_pretrained(folder).model_type
    if kind != "siglip":
        raise DataError(
            f"{folder}: model type {kind!r} is not 'siglip'", "give a fixed-resolution checkpoint"
        )
    return SiglipModel.from_pretrained(folder, dtype=torch.float32)


def shaped_scene(stream: int, number: int) -> tuple[Image.Image, tuple[str, str]]:
    """A scene in a shape of its own, and its texts."""
    scene = sample_scene(stream, number)
    rendered = render_scene(scene, IMAGE_SIZE)
    rng = np.random.default_rng((stream, number, _SHAPE_DRAWS))
    whole = rng.uniform() < _SQUARE
    image = Image.fromarray(rendered.image) if whole else reshaped(rendered, rng, WIDEST)
    return image, scene_texts(scene)


def flexible_batch(tokenizer: Siglip2Tokenizer, share: Share, number: int) -> FlexibleBatch:
    """The scenes of batch ``number`` that are this process's."""
    first = number * BATCH_SIZE + share.rank * share.size
    made = [shaped_scene(NAFLEX, scene) for scene in range(first, first + share.size)]
    tokens, codes = encode_scene_texts([texts for _, texts in made], tokenizer)
    budget = BUDGETS[number % len(BUDGETS)]
    return FlexibleBatch(to_patches([image for image, _ in made], budget), tokens, codes)


def square_features(model: Siglip2Model, pixels: Tensor) -> Tensor:
    """Pooled features of square images at the default number of patches.

    Args:
        model: the towers.
        pixels: uint8 [B, 128, 128, 3].

    Returns:
        [B, D], not normalised.
    """
    values = forward.cut_into_patches(pixels, PATCH_SIZE)
    side = IMAGE_SIZE // PATCH_SIZE
    shapes = torch.tensor([(side, side)]).expand(len(pixels), 2)
    mask = torch.ones(values.shape[:2], dtype=torch.bool, device=pixels.device)
    positions = position_weights(shapes, side * side, side).to(pixels.device)
    return flexible_features(model, values, mask, positions)


def train_naflex(
    plan: Plan, init: Path, places: Places, *, device: torch.device, workers: int
) -> None:
    """Train the NaFlex towers, from fixed-resolution ones, and export them.

    Args:
        plan: how to train.
        init: folder of the fixed-resolution checkpoint.
        places: where to write.
        device: where to compute.
        workers: processes that render scenes; 0 renders in this one.

    Raises:
        DataError: ``init`` holds no fixed-resolution checkpoint, or the saved state belongs to
            another architecture.
    """
    share = Share.of(BATCH_SIZE)
    tokenizer = load_tokenizer(init)
    model = naflex_from_fixed(load_fixed(init))
    nn.Module.to(model, device)
    side = round(NAFLEX_PATCHES**0.5)

    def features(values: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        return flexible_features(model, values, mask, positions)

    # One compiled version for each number of patches: faster than one for all of them.
    compiled_images: Callable[[Tensor, Tensor, Tensor], Tensor] = torch.compile(
        features, dynamic=False
    )

    def encode_images(batch: FlexibleBatch) -> Tensor:
        patches = batch.patches
        positions = position_weights(patches.shapes, patches.mask.shape[1], side)
        return compiled_images(
            patches.values.to(device), patches.mask.to(device), positions.to(device)
        )

    course = scene_course(
        model,
        tokenizer,
        make_batch=partial(flexible_batch, tokenizer, share),
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
        batch = flexible_batch(tokenizer, share, BUDGETS.index(budget))
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.bfloat16):
            features = course.encode_images(batch)
        torch.autograd.backward(features.sum())
    course.model.zero_grad(set_to_none=True)
