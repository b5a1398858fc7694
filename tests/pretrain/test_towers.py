"""The rearranged forward passes against transformers' own, and one architecture as the other."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import SiglipModel

from models.pretrain.checkpoints import processor_for
from models.pretrain.scenes import VALIDATION, reshaped, to_patches
from models.pretrain.tokenizer import train_tokenizer
from models.pretrain.towers import (
    cut_into_patches,
    fixed_config,
    flatten_kernel,
    flexible_features,
    image_features,
    naflex_from_fixed,
    new_fixed_model,
    position_weights,
    square_features,
    text_features,
)
from siglip2_multimodal_hash.datasets.mojicoco import render_scene, sample_scene

VOCABULARY = 50


@pytest.fixture(scope="module")
def fixed() -> SiglipModel:
    config = fixed_config(VOCABULARY, width=32, vision_layers=2, text_layers=2, heads=2)
    model: SiglipModel = new_fixed_model(config, seed=3).eval()
    return model


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 128, 128, 3), generator=generator, dtype=torch.uint8)


def scaled(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 3, 1, 2) / 127.5 - 1


@torch.no_grad()
def test_image_features_are_those_of_transformers(fixed: SiglipModel, pixels: Tensor) -> None:
    expected = fixed.get_image_features(pixel_values=scaled(pixels)).pooler_output
    torch.testing.assert_close(image_features(fixed, pixels), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_text_features_are_those_of_transformers(fixed: SiglipModel) -> None:
    tokens = torch.randint(0, VOCABULARY, (4, 64), generator=torch.Generator().manual_seed(1))
    expected = fixed.get_text_features(input_ids=tokens).pooler_output
    torch.testing.assert_close(text_features(fixed, tokens), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_flat_kernel_embeds_patches_as_the_convolution_does(
    fixed: SiglipModel, pixels: Tensor
) -> None:
    convolution = fixed.vision_model.embeddings.patch_embedding
    expected = convolution(scaled(pixels)).flatten(2).transpose(1, 2)
    patches = cut_into_patches(pixels, 16) / 127.5 - 1
    found = F.linear(patches, flatten_kernel(convolution.weight), convolution.bias)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_patches_come_in_rows_and_hold_rows_columns_channels() -> None:
    image = torch.arange(2 * 4 * 3).view(1, 2, 4, 3)
    assert cut_into_patches(image, 2).tolist() == [
        [[0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17], [6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23]]
    ]


@torch.no_grad()
def test_naflex_starts_as_the_fixed_model(fixed: SiglipModel, pixels: Tensor) -> None:
    naflex = naflex_from_fixed(fixed).eval()
    expected = fixed.get_image_features(pixel_values=scaled(pixels)).pooler_output
    torch.testing.assert_close(square_features(naflex, pixels), expected, rtol=1e-4, atol=1e-5)
    tokens = torch.randint(0, VOCABULARY, (2, 64), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        naflex.get_text_features(input_ids=tokens).pooler_output,
        fixed.get_text_features(input_ids=tokens).pooler_output,
    )


@torch.no_grad()
@pytest.mark.parametrize("most", [36, 64, 100])
def test_patches_and_features_are_those_of_transformers(fixed: SiglipModel, most: int) -> None:
    naflex = naflex_from_fixed(fixed).eval()
    rng = np.random.default_rng(5)
    images = [
        Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
        for shape in ((128, 128), (128, 61), (70, 128), (40, 128))
    ]
    patches = to_patches(images, most)
    processor = processor_for(naflex, train_tokenizer(["a dog"]))
    expected = processor(images=images, max_num_patches=most, return_tensors="pt")
    assert torch.equal(patches.mask, expected["pixel_attention_mask"].bool())
    assert torch.equal(patches.shapes, expected["spatial_shapes"])
    values = torch.where(patches.mask[..., None], patches.values / 127.5 - 1, 0.0)
    torch.testing.assert_close(values, expected["pixel_values"], rtol=0, atol=1e-6)
    found = flexible_features(
        naflex, patches.values, patches.mask, position_weights(patches.shapes, most, side=8)
    )
    torch.testing.assert_close(
        found, naflex.get_image_features(**expected).pooler_output, rtol=1e-4, atol=1e-5
    )


def test_cuts_keep_every_object_and_one_side() -> None:
    rng = np.random.default_rng(0)
    ratios = []
    for number in range(40):
        scene = render_scene(sample_scene(VALIDATION, number))
        image = reshaped(scene, rng, widest=2.0)
        assert max(image.size) == 128
        assert image.width >= max((o.bbox[2] for o in scene.objects), default=0)
        assert image.height >= max((o.bbox[3] for o in scene.objects), default=0)
        ratios.append(image.width / image.height)
    assert min(ratios) < 0.8
    assert max(ratios) > 1.25
    assert min(ratios) > 0.49
    assert max(ratios) < 2.04
