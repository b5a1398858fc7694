"""Batches of fresh scenes, rendered in worker processes; no scene comes twice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from transformers import Siglip2Tokenizer

from siglip2_multimodal_hash.datasets.mojicoco import (
    TOWER_STREAM,
    Scene,
    alt_text,
    render_scene,
    sample_scene,
)
from siglip2_multimodal_hash.training.towers.architecture import IMAGE_SIZE
from siglip2_multimodal_hash.training.towers.sigmoid_loss import text_code
from siglip2_multimodal_hash.training.towers.tokenizer import token_ids

AnyBatch = TypeVar("AnyBatch")

VALIDATION: Final = TOWER_STREAM
TOKENIZER: Final = TOWER_STREAM + 1
FIXED: Final = TOWER_STREAM + 2
NAFLEX: Final = TOWER_STREAM + 3
"""Streams of scenes; datasets draw theirs from below ``TOWER_STREAM``."""

VALIDATION_SCENES: Final = 1_000

_TEXT_DRAWS: Final = 1
"""Sets the draws of a scene's texts apart from those of the scene itself."""


@dataclass(frozen=True)
class SceneBatch:
    """B scenes with n texts each: an alt text and captions."""

    pixels: torch.Tensor
    """uint8 [B, 128, 128, 3]."""
    tokens: torch.Tensor
    """int64 [n * B, 64]: the first text of each scene, then the second of each, and so on."""
    codes: torch.Tensor
    """int64 [B, n], fingerprints of the texts."""


def scene_texts(scene: Scene) -> tuple[str, str]:
    """What the towers learn to say of a scene: an alt text and one of its captions."""
    rng = np.random.default_rng((scene.stream, scene.number, _TEXT_DRAWS))
    caption = scene.captions[int(rng.integers(len(scene.captions)))].lower()
    return alt_text(scene, rng).lower(), caption


def encode_scene_texts(
    texts: Sequence[tuple[str, ...]], tokenizer: Siglip2Tokenizer
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and fingerprints of the texts of B scenes, as :class:`SceneBatch` holds them."""
    in_order = [text for column in zip(*texts, strict=True) for text in column]
    return (
        torch.from_numpy(token_ids(tokenizer, in_order)),
        torch.tensor([[text_code(text) for text in row] for row in texts]),
    )


def scene_batch(stream: int, first: int, size: int, tokenizer: Siglip2Tokenizer) -> SceneBatch:
    """The scenes ``first`` to ``first + size - 1`` of a stream."""
    scenes = [sample_scene(stream, number) for number in range(first, first + size)]
    images = [render_scene(scene, IMAGE_SIZE).image for scene in scenes]
    tokens, codes = encode_scene_texts([scene_texts(scene) for scene in scenes], tokenizer)
    return SceneBatch(torch.from_numpy(np.stack(images)), tokens, codes)


class _Batches(IterableDataset[AnyBatch]):
    """Worker w of W makes the batches w, w + W, ...; the loader takes them in turn."""

    def __init__(self, make: Callable[[int], AnyBatch], start: int) -> None:
        self.make, self.start = make, start

    def __iter__(self) -> Iterator[AnyBatch]:
        worker = get_worker_info()
        offset, step = (worker.id, worker.num_workers) if worker else (0, 1)
        return map(self.make, count(self.start + offset, step))


def endless(make: Callable[[int], AnyBatch], start: int, workers: int) -> Iterator[AnyBatch]:
    """``make(start)``, ``make(start + 1)``, ... without end, the same for any ``workers``.

    Args:
        make: a batch from its number; picklable where there are workers.
        start: the first number; the batches before it count as seen.
        workers: processes to make them in; 0 makes them in this one, when asked for.
    """
    if not workers:
        return map(make, count(start))
    loader = DataLoader(
        _Batches(make, start),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=3,
        multiprocessing_context="spawn",
    )
    return iter(loader)
