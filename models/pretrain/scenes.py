"""Batches of fresh scenes, of square images and of any shape; no scene comes twice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from transformers import Siglip2Tokenizer
from transformers.models.siglip2.image_processing_pil_siglip2 import (
    get_image_size_for_max_num_patches,
)

from models.pretrain.loss import text_code
from models.pretrain.tokenizer import token_ids
from models.pretrain.towers import IMAGE_SIZE, NAFLEX_PATCHES, PATCH_SIZE, cut_into_patches
from siglip2_multimodal_hash.datasets.mojicoco import (
    TOWER_STREAM,
    RenderedScene,
    Scene,
    alt_text,
    render_scene,
    sample_scene,
)

AnyBatch = TypeVar("AnyBatch")

VALIDATION = TOWER_STREAM
TOKENIZER = TOWER_STREAM + 1
FIXED = TOWER_STREAM + 2
NAFLEX = TOWER_STREAM + 3
"""Streams of scenes; datasets draw theirs from below ``TOWER_STREAM``."""

VALIDATION_SCENES = 1_000

BUDGETS = (NAFLEX_PATCHES, 36, NAFLEX_PATCHES, 100)
"""Most patches per image, by the batch's number, in turn. The checkpoint's default comes most
often."""

WIDEST = 2.0
"""Greatest ratio of an image's sides."""

_SQUARE = 0.3
"""Share of the images that stay whole, and so square."""

_TEXT_DRAWS = 1
_SHAPE_DRAWS = 2
"""Set the draws of a scene's texts and shape apart from those of the scene itself."""


@dataclass(frozen=True)
class SceneBatch:
    """B square scenes with n texts each: an alt text and captions."""

    pixels: Tensor
    """uint8 [B, 128, 128, 3]."""
    tokens: Tensor
    """int64 [n * B, 64]: the first text of each scene, then the second of each, and so on."""
    codes: Tensor
    """int64 [B, n], fingerprints of the texts."""


@dataclass(frozen=True)
class Patches:
    """B images of any shape, cut into patches and padded to T of them."""

    values: Tensor
    """uint8 [B, T, 768], the processor's ``pixel_values`` before scaling to -1 ... 1."""
    mask: Tensor
    """bool [B, T], its ``pixel_attention_mask``: False for padding."""
    shapes: Tensor
    """int64 [B, 2], its ``spatial_shapes``: rows and columns of patches."""


@dataclass(frozen=True)
class FlexibleBatch:
    """B scenes of many shapes with n texts each."""

    patches: Patches
    tokens: Tensor
    codes: Tensor
    """Both as in :class:`SceneBatch`."""


def scene_texts(scene: Scene) -> tuple[str, str]:
    """The texts that the towers learn for a scene: an alt text and one of its captions."""
    rng = np.random.default_rng((scene.stream, scene.number, _TEXT_DRAWS))
    caption = scene.captions[int(rng.integers(len(scene.captions)))].lower()
    return alt_text(scene, rng).lower(), caption


def encode_scene_texts(
    texts: Sequence[tuple[str, ...]], tokenizer: Siglip2Tokenizer
) -> tuple[Tensor, Tensor]:
    """Tokens and fingerprints of the texts of B scenes, as :class:`SceneBatch` holds them."""
    in_order = [text for column in zip(*texts, strict=True) for text in column]
    return (
        torch.from_numpy(token_ids(tokenizer, in_order)),
        torch.tensor([[text_code(text) for text in row] for row in texts]),
    )


def scene_batch(stream: int, first: int, size: int, tokenizer: Siglip2Tokenizer) -> SceneBatch:
    """The scenes ``first`` to ``first + size - 1`` of a stream, square."""
    scenes = [sample_scene(stream, number) for number in range(first, first + size)]
    images = [render_scene(scene, IMAGE_SIZE).image for scene in scenes]
    tokens, codes = encode_scene_texts([scene_texts(scene) for scene in scenes], tokenizer)
    return SceneBatch(torch.from_numpy(np.stack(images)), tokens, codes)


def flexible_batch(
    stream: int, first: int, size: int, most: int, tokenizer: Siglip2Tokenizer
) -> FlexibleBatch:
    """The same scenes in shapes of their own, of ``most`` patches at most."""
    scenes = [sample_scene(stream, number) for number in range(first, first + size)]
    tokens, codes = encode_scene_texts([scene_texts(scene) for scene in scenes], tokenizer)
    return FlexibleBatch(to_patches([_shaped(scene) for scene in scenes], most), tokens, codes)


def _shaped(scene: Scene) -> Image.Image:
    rendered = render_scene(scene, IMAGE_SIZE)
    rng = np.random.default_rng((scene.stream, scene.number, _SHAPE_DRAWS))
    whole = rng.uniform() < _SQUARE
    return Image.fromarray(rendered.image) if whole else reshaped(rendered, rng, WIDEST)


def reshaped(scene: RenderedScene, rng: np.random.Generator, widest: float) -> Image.Image:
    """A scene cut to a random aspect ratio, without touching a labelled object.

    Its texts therefore stay true. Only one of the two sides gets shorter.

    Args:
        scene: A square scene.
        rng: Source of the draws.
        widest: Bound of the ratio of the sides, drawn between 1 : widest and widest : 1, evenly in
            its logarithm; a scene that is full of objects keeps what they need.
    """
    size = scene.image.shape[0]
    ratio = widest ** rng.uniform(-1.0, 1.0)
    across = (
        min((o.bbox[0] for o in scene.objects), default=size),
        max((o.bbox[0] + o.bbox[2] for o in scene.objects), default=0),
    )
    along = (
        min((o.bbox[1] for o in scene.objects), default=size),
        max((o.bbox[1] + o.bbox[3] for o in scene.objects), default=0),
    )
    if ratio < 1.0:
        left, right = _window(across, round(size * ratio), size, rng)
        top, bottom = 0, size
    else:
        left, right = 0, size
        top, bottom = _window(along, round(size / ratio), size, rng)
    return Image.fromarray(scene.image[top:bottom, left:right])


def _window(
    needed: tuple[int, int], length: int, size: int, rng: np.random.Generator
) -> tuple[int, int]:
    """A stretch of 0 ... size, at least ``length`` long, that contains ``needed``."""
    first, last = needed
    length = max(length, last - first)
    start = int(rng.integers(max(0, last - length), min(first, size - length) + 1))
    return start, start + length


def to_patches(images: Sequence[Image.Image], most: int) -> Patches:
    """The same as NaFlex's processor makes of RGB images: as large as ``most`` patches allow."""
    values = torch.zeros((len(images), most, PATCH_SIZE * PATCH_SIZE * 3), dtype=torch.uint8)
    mask = torch.zeros((len(images), most), dtype=torch.bool)
    shapes = torch.empty((len(images), 2), dtype=torch.int64)
    for number, image in enumerate(images):
        rows, columns = _shape_in_patches(image.height, image.width, most)
        resized = image.resize((columns * PATCH_SIZE, rows * PATCH_SIZE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized))
        values[number, : rows * columns] = cut_into_patches(pixels[None], PATCH_SIZE)[0]
        mask[number, : rows * columns] = True
        shapes[number] = torch.tensor((rows, columns))
    return Patches(values, mask, shapes)


@cache
def _shape_in_patches(height: int, width: int, most: int) -> tuple[int, int]:
    """Rows and columns of patches that the processor cuts an image into."""
    new_height, new_width = get_image_size_for_max_num_patches(height, width, PATCH_SIZE, most)
    return new_height // PATCH_SIZE, new_width // PATCH_SIZE


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
        make: A batch from its number; picklable where there are workers.
        start: The first number; the batches before it count as seen.
        workers: Processes to make them in; 0 makes them in this one, when asked for.
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
