"""The fixed-resolution checkpoint: trained from scratch."""

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Siglip2Tokenizer

from siglip2_multimodal_hash.datasets.mojicoco import alt_text, sample_scene
from siglip2_multimodal_hash.training.towers import forward
from siglip2_multimodal_hash.training.towers.architecture import fixed_config, new_fixed_model
from siglip2_multimodal_hash.training.towers.parallel import Share
from siglip2_multimodal_hash.training.towers.pretraining import Places, Plan, pretrain, scene_course
from siglip2_multimodal_hash.training.towers.stream import (
    FIXED,
    TOKENIZER,
    SceneBatch,
    scene_batch,
)
from siglip2_multimodal_hash.training.towers.tokenizer import train_tokenizer
from siglip2_multimodal_hash.training.towers.zero_shot import class_prompts

BATCH_SIZE: Final = 256
TOKENIZER_SCENES: Final = 4_000
SEED: Final = 0

FIXED_PLAN: Final = Plan(minutes=110)
"""For two CPU cores."""


def learn_tokenizer(scenes: int = TOKENIZER_SCENES) -> Siglip2Tokenizer:
    """A tokenizer for the texts of the scenes, learned from ``scenes`` of them and the prompts."""

    def texts(number: int) -> tuple[str, ...]:
        scene = sample_scene(TOKENIZER, number)
        return (*scene.captions, alt_text(scene, np.random.default_rng((TOKENIZER, number))))

    return train_tokenizer(chain(class_prompts(), *(texts(number) for number in range(scenes))))


def fixed_batch(tokenizer: Siglip2Tokenizer, share: Share, number: int) -> SceneBatch:
    """The scenes of batch ``number`` that are this process's."""
    first = number * BATCH_SIZE + share.rank * share.size
    return scene_batch(FIXED, first, share.size, tokenizer)


def train_fixed(plan: Plan, places: Places, *, device: torch.device, workers: int) -> None:
    """Train the fixed-resolution towers from scratch and export them.

    Args:
        plan: how to train.
        places: where to write.
        device: where to compute.
        workers: processes that render scenes; 0 renders in this one.

    Raises:
        DataError: the saved state belongs to another architecture.
    """
    share = Share.of(BATCH_SIZE)
    tokenizer = learn_tokenizer()
    model = new_fixed_model(fixed_config(len(tokenizer)), SEED)
    nn.Module.to(model, device)

    def features(pixels: Tensor) -> Tensor:
        return forward.image_features(model, pixels)

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
