"""The shortcut through the image processor: every number equal, or no shortcut."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, Siglip2ImageProcessorPil, SiglipImageProcessorPil

from siglip2_multimodal_hash.features.resizing import LookUp
from siglip2_multimodal_hash.features.towers import load_towers
from tests.features.tiny import Pictures, make_backbone

TINY = Path(__file__).resolve().parents[2] / "models" / "siglip2-tiny-patch16-128"
IMAGENET: dict[str, Any] = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def processor(side: int = 64, **changes: Any) -> SiglipImageProcessorPil:
    values: dict[str, Any] = {"size": {"height": side, "width": side}, "resample": 2}
    values |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3} | changes
    return SiglipImageProcessorPil(**values)


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


IMAGES = [noise(*size) for size in ((64, 64), (640, 426), (3, 200), (1, 1), (63, 65), (128, 64))]


@pytest.mark.parametrize(
    "reference",
    [
        processor(),
        processor(256),
        processor(resample=3),
        processor(resample=0),
        processor(**IMAGENET),
        processor(size={"height": 32, "width": 96}),
        processor(rescale_factor=1 / 127.5),
        processor(do_normalize=False),
        AutoImageProcessor.from_pretrained(TINY, backend="pil"),
    ],
)
def test_every_number_equals_the_processors(reference: Any, pictures: Pictures) -> None:
    images = [*IMAGES, *pictures]
    expected = reference(images=images, return_tensors="pt")["pixel_values"]
    shortcut = LookUp.like(reference)
    assert shortcut is not None
    found = shortcut(images)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "other",
    [
        Siglip2ImageProcessorPil(patch_size=16, max_num_patches=64),
        processor(do_resize=False),
        processor(do_rescale=False, do_normalize=False),
        processor(do_center_crop=True, crop_size={"height": 32, "width": 32}),
        processor(do_center_crop=True, crop_size={"height": 64, "width": 64}),
        processor(size={"shortest_edge": 64}),
        processor(8),
    ],
)
def test_a_processor_that_does_something_else_gets_no_shortcut(other: Any) -> None:
    found = LookUp.like(other)
    if found is not None:  # A crop to the whole is none.
        expected = other(images=IMAGES, return_tensors="pt")["pixel_values"]
        assert torch.equal(found(IMAGES), expected)
        assert other.do_center_crop
        assert dict(other.crop_size) == dict(other.size)


def test_towers_take_it_for_a_fixed_resolution_only(checkpoint: Path, pictures: Pictures) -> None:
    towers = load_towers(make_backbone(checkpoint), torch.device("cpu"))
    assert (towers.preprocess.shortcut is not None) == (towers.model_type == "siglip")
    copy = pickle.loads(pickle.dumps(towers.preprocess))
    expected = towers.preprocess.image_processor(
        images=pictures,
        return_tensors="pt",
        **({"max_num_patches": 16} if towers.model_type == "siglip2" else {}),
    )
    for name, values in copy(pictures).items():
        assert torch.equal(values, expected[name])
