"""The towers against AutoModel and AutoProcessor used directly."""

import importlib.util
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoProcessor

from siglip2_multimodal_hash.features.towers import Towers, load_towers, pooled
from tests.features.direct_use import Direct
from tests.features.tiny import Pictures, make_backbone

CPU = torch.device("cpu")
TEXTS = ["a cat on a mat.", "two dogs", "a zebra"]


@pytest.fixture
def towers(checkpoint: Path) -> Towers:
    return load_towers(make_backbone(checkpoint), CPU)


@pytest.fixture
def direct(checkpoint: Path) -> Direct:
    return Direct(checkpoint)


def test_images_equal_direct_use(towers: Towers, direct: Direct, pictures: Pictures) -> None:
    features = towers.encode_images(towers.preprocess(pictures))
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, direct.images(pictures), atol=1e-5, rtol=0)


def test_texts_equal_direct_use(towers: Towers, direct: Direct) -> None:
    features = towers.encode_texts(TEXTS)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, direct.texts(TEXTS), atol=1e-5, rtol=0)


def test_output_is_not_normalised(towers: Towers, direct: Direct, pictures: Pictures) -> None:
    images = towers.encode_images(towers.preprocess(pictures))
    for features in (images, towers.encode_texts(TEXTS)):
        norms = features.norm(dim=1)
        assert ((norms - 1).abs() > 0.1).all()
        assert norms.std() > 1e-3
    # Unlike what the whole model hands out.
    inputs = towers.preprocess(pictures) | towers.tokenize(TEXTS)
    with torch.no_grad():
        whole = direct.model(**inputs)
    torch.testing.assert_close(whole.image_embeds.norm(dim=1), torch.ones(len(pictures)))
    torch.testing.assert_close(torch.nn.functional.normalize(images), whole.image_embeds)


def test_batch_does_not_change_an_image(towers: Towers, pictures: Pictures) -> None:
    together = towers.encode_images(towers.preprocess(pictures))
    alone = torch.cat([towers.encode_images(towers.preprocess([one])) for one in pictures])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_naflex_keeps_the_aspect_ratio_within_the_patches(
    checkpoints: dict[str, Path], pictures: Pictures
) -> None:
    towers = load_towers(make_backbone(checkpoints["siglip2"], max_num_patches=20), CPU)
    inputs = towers.preprocess(pictures)
    patches = inputs["spatial_shapes"].prod(dim=1)
    assert inputs["pixel_values"].shape == (len(pictures), 20, 16 * 16 * 3)
    assert (patches <= 20).all()
    assert torch.equal(inputs["pixel_attention_mask"].sum(dim=1), patches)
    assert len({tuple(shape) for shape in inputs["spatial_shapes"].tolist()}) > 1


def test_fixed_resolution_has_neither_mask_nor_shapes(
    checkpoints: dict[str, Path], pictures: Pictures
) -> None:
    towers = load_towers(make_backbone(checkpoints["siglip"]), CPU)
    inputs = towers.preprocess(pictures)
    assert set(inputs) == {"pixel_values"}
    assert inputs["pixel_values"].shape == (len(pictures), 3, 64, 64)


@pytest.mark.parametrize("length", [16, 64])
def test_texts_are_padded_to_the_full_length_without_a_mask(checkpoint: Path, length: int) -> None:
    towers = load_towers(make_backbone(checkpoint, text_max_length=length), CPU)
    inputs = towers.tokenize(["a cat", "x" * 200])
    assert set(inputs) == {"input_ids"}
    assert inputs["input_ids"].shape == (2, length)
    assert inputs["input_ids"].dtype == torch.int64
    pad = towers.tokenize.tokenizer.pad_token_id
    assert (inputs["input_ids"][0, 5:] == pad).all()
    assert (inputs["input_ids"][1] != pad).all()


def test_padding_counts(checkpoint: Path) -> None:
    """The trap: pooled at the last position, so a shorter padding is another embedding."""
    short, long = (
        load_towers(make_backbone(checkpoint, text_max_length=length), CPU) for length in (16, 64)
    )
    assert not torch.allclose(short.encode_texts(TEXTS), long.encode_texts(TEXTS), atol=1e-3)


def test_pillow_resizes_whatever_else_is_installed(
    towers: Towers, checkpoint: Path, pictures: Pictures
) -> None:
    """With torchvision, AutoProcessor resizes by it: other pixels, and other embeddings."""
    ours = towers.preprocess.image_processor
    assert type(ours).__name__.endswith("Pil")
    own = AutoProcessor.from_pretrained(checkpoint).image_processor
    if importlib.util.find_spec("torchvision") is None:
        assert type(own) is type(ours)
        return
    assert type(own) is not type(ours)
    options = {"max_num_patches": 16} if towers.model_type == "siglip2" else {}
    pixels = own(images=pictures, return_tensors="pt", **options)["pixel_values"]
    assert not torch.equal(pixels, towers.preprocess(pictures)["pixel_values"])


def test_case_does_not_count_and_blanks_do(towers: Towers) -> None:
    plain = towers.encode_texts(["two dogs on grass."])
    assert torch.equal(plain, towers.encode_texts(["Two DOGS on grass."]))
    for other in ("two dogs on grass. ", " two dogs on grass.", "two  dogs on\ngrass."):
        assert not torch.allclose(plain, towers.encode_texts([other]), atol=1e-3)


def test_both_return_types_of_the_library() -> None:
    wanted = torch.arange(6.0).reshape(2, 3)
    assert pooled(wanted) is wanted
    assert pooled(SimpleNamespace(pooler_output=wanted)) is wanted


def test_checkpoint_in_half_precision_computes_in_single(
    checkpoint: Path, tmp_path: Path, pictures: Pictures
) -> None:
    half = AutoModel.from_pretrained(checkpoint).half()
    half.save_pretrained(tmp_path)
    AutoProcessor.from_pretrained(checkpoint).save_pretrained(tmp_path)
    towers = load_towers(make_backbone(tmp_path), CPU)
    assert {weight.dtype for weight in towers.model.parameters()} == {torch.float32}
    reference = load_towers(make_backbone(checkpoint), CPU)
    torch.testing.assert_close(
        towers.encode_images(towers.preprocess(pictures)),
        reference.encode_images(reference.preprocess(pictures)),
        atol=0.02,
        rtol=0.02,
    )


def test_bfloat16_is_near_and_comes_out_as_single(
    checkpoint: Path, towers: Towers, pictures: Pictures
) -> None:
    low = load_towers(make_backbone(checkpoint, amp_dtype="bfloat16"), CPU)
    features = low.encode_images(low.preprocess(pictures))
    reference = towers.encode_images(towers.preprocess(pictures))
    assert features.dtype == torch.float32
    assert not torch.equal(features, reference)
    cosines = torch.nn.functional.cosine_similarity(features, reference)
    assert (cosines > 0.99).all()


def test_frozen_and_picklable(towers: Towers, pictures: Pictures) -> None:
    assert not towers.model.training
    assert not any(weight.requires_grad for weight in towers.model.parameters())
    copy = pickle.loads(pickle.dumps(towers))
    assert np.array_equal(copy.encode_texts(TEXTS), towers.encode_texts(TEXTS))
    inputs, again = towers.preprocess(pictures), copy.preprocess(pictures)
    assert torch.equal(inputs["pixel_values"], again["pixel_values"])
