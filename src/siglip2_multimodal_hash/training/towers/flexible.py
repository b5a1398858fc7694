"""Images of any shape as NaFlex takes them: cut to patches, padded, with mask and shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import Siglip2Model
from transformers.models.siglip2.image_processing_pil_siglip2 import (
    get_image_size_for_max_num_patches,
)

from siglip2_multimodal_hash.datasets.mojicoco import RenderedScene
from siglip2_multimodal_hash.training.towers.architecture import PATCH_SIZE
from siglip2_multimodal_hash.training.towers.forward import cut_into_patches, encode_patches

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""


@dataclass(frozen=True)
class Patches:
    """B images, padded to T patches."""

    values: Tensor
    """uint8 [B, T, 768], the processor's ``pixel_values`` before scaling to -1 ... 1."""
    mask: Tensor
    """bool [B, T], its ``pixel_attention_mask``: False for padding."""
    shapes: Tensor
    """int64 [B, 2], its ``spatial_shapes``: rows and columns of patches."""


def to_patches(images: Sequence[Image.Image], most: int) -> Patches:
    """What NaFlex's processor makes of RGB images: as large as ``most`` patches allow."""
    values = torch.zeros((len(images), most, PATCH_SIZE * PATCH_SIZE * 3), dtype=torch.uint8)
    mask = torch.zeros((len(images), most), dtype=torch.bool)
    shapes = torch.empty((len(images), 2), dtype=torch.int64)
    for number, image in enumerate(images):
        rows, columns = shape_in_patches(image.height, image.width, most)
        resized = image.resize((columns * PATCH_SIZE, rows * PATCH_SIZE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized))
        values[number, : rows * columns] = cut_into_patches(pixels[None], PATCH_SIZE)[0]
        mask[number, : rows * columns] = True
        shapes[number] = torch.tensor((rows, columns))
    return Patches(values, mask, shapes)


@cache
def shape_in_patches(height: int, width: int, most: int) -> tuple[int, int]:
    """Rows and columns of patches that the processor cuts an image into."""
    new_height, new_width = get_image_size_for_max_num_patches(height, width, PATCH_SIZE, most)
    return new_height // PATCH_SIZE, new_width // PATCH_SIZE


def reshaped(scene: RenderedScene, rng: np.random.Generator, widest: float) -> Image.Image:
    """A scene cut to a random aspect ratio, without touching a labelled object.

    Its texts therefore stay true. Only one of the two sides gets shorter.

    Args:
        scene: a square scene.
        rng: where the draws come from.
        widest: the ratio of the sides is drawn between 1 : widest and widest : 1, evenly in its
            logarithm; a scene that is full of objects keeps what they need.
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


@cache
def _resampling(rows: int, columns: int, side: int) -> npt.NDArray[np.float32]:
    """The matrix [rows * columns, side * side] of NaFlex's interpolation of its position table."""
    grid = torch.eye(side * side).view(1, side * side, side, side)
    resized = F.interpolate(
        grid, size=(rows, columns), mode="bilinear", align_corners=False, antialias=True
    )
    matrix: npt.NDArray[np.float32] = resized.view(side * side, rows * columns).T.numpy()
    return matrix


def position_weights(shapes: Tensor, most: int, side: int) -> Tensor:
    """How the patches' positions arise from the table: float32 [B, most, side * side].

    The table is interpolated linearly, so the images of a batch need one matrix product and not
    an interpolation each. Rows of padding are zero.

    Args:
        shapes: int64 [B, 2], rows and columns of patches.
        most: T, to which the images are padded.
        side: the table holds side * side positions.
    """
    weights = np.zeros((len(shapes), most, side * side), dtype=np.float32)
    for number, (rows, columns) in enumerate(shapes.tolist()):
        weights[number, : rows * columns] = _resampling(rows, columns, side)
    return torch.from_numpy(weights)


def flexible_features(
    model: Siglip2Model, values: Tensor, mask: Tensor, positions: Tensor
) -> Tensor:
    """Pooled features, [B, D], not normalised.

    Args:
        model: the towers.
        values: as in :class:`Patches`.
        mask: likewise.
        positions: as from :func:`position_weights`.
    """
    embeddings = model.vision_model.embeddings
    kernel = embeddings.patch_embedding
    patches = values.to(kernel.weight.dtype) / 127.5 - 1.0
    table = embeddings.position_embedding.weight
    hidden = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, float("-inf"))
    return encode_patches(model, kernel(patches) + positions @ table, hidden[:, None, None, :])
