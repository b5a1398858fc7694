"""The facts about SigLIP 2 that the design rests on (its section 5), each as one test."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from transformers import AutoModel

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.device import check_kernels
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.preprocessing import Inputs, Tokenizer
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.features.towers import load_towers
from tests.features.direct_use import own_processor
from tests.features.tiny import Embed, Pictures, make_backbone, open_archive

CPU = torch.device("cpu")


def test_point_1_magnitudes_vary_because_nothing_is_normalised(
    embed: Embed, checkpoint: Path, index: DatasetIndex, archive: Path
) -> None:
    """The store holds the pooled output; `image_embeds` is its direction, of length 1."""
    stored = load_embeddings(embed(checkpoint))
    model = AutoModel.from_pretrained(checkpoint).eval()
    processor = own_processor(checkpoint)
    options = {"max_num_patches": 16} if model.config.model_type == "siglip2" else {}
    sources = [open_archive(archive).open(name) for name in index.frame["file_name"]]
    inputs = processor(
        text=["a cat on a mat."],
        images=sources,
        padding="max_length",
        max_length=64,
        return_tensors="pt",
        **options,
    )
    with torch.no_grad():
        whole = model(**inputs)
    np.testing.assert_allclose(stored.image, whole.vision_model_output.pooler_output, atol=1e-5)
    lengths = np.linalg.norm(stored.image, axis=1)
    assert lengths.std() > 1e-3
    assert (abs(lengths - 1) > 0.1).all()
    np.testing.assert_allclose(stored.image / lengths[:, None], whole.image_embeds, atol=1e-5)
    np.testing.assert_allclose(whole.image_embeds.norm(dim=1), 1, atol=1e-5)
    text = stored.caption[0] / np.linalg.norm(stored.caption[0])
    np.testing.assert_allclose(text, whole.text_embeds[0], atol=1e-5)
    assert abs(np.linalg.norm(stored.caption[0]) - 1) > 0.1


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("siglip", {"pixel_values"}),
        ("siglip2", {"pixel_values", "pixel_attention_mask", "spatial_shapes"}),
    ],
)
def test_point_2_both_kinds_of_checkpoint_load_the_same_way(
    checkpoints: dict[str, Path], pictures: Pictures, kind: str, names: set[str]
) -> None:
    towers = load_towers(make_backbone(checkpoints[kind]), CPU)
    assert towers.model_type == kind
    assert type(towers.model) is type(AutoModel.from_pretrained(checkpoints[kind]))
    spy = towers.model.get_image_features = Mock(wraps=towers.model.get_image_features)
    towers.encode_images(towers.preprocess(pictures))
    spy.assert_called_once()
    inputs = spy.call_args.kwargs
    assert set(inputs) == names
    if kind == "siglip2":
        assert inputs["pixel_values"].shape[:2] == (len(pictures), 16)
        assert inputs["pixel_attention_mask"].shape == (len(pictures), 16)
        assert inputs["spatial_shapes"].shape == (len(pictures), 2)


def test_point_3_texts_are_lower_case_64_tokens_and_unmasked(checkpoint: Path) -> None:
    towers = load_towers(make_backbone(checkpoint), CPU)
    spy = towers.model.get_text_features = Mock(wraps=towers.model.get_text_features)
    towers.encode_texts(["A CAT ON A MAT", "a cat on a mat", "Two dogs " * 40])
    spy.assert_called_once()
    inputs = spy.call_args.kwargs
    assert set(inputs) == {"input_ids"}
    assert inputs["input_ids"].shape == (3, 64)
    assert torch.equal(inputs["input_ids"][0], inputs["input_ids"][1])


def test_point_3_holds_for_a_tokenizer_that_knows_case_and_masks() -> None:
    """Older releases of the library do not lower the case, and offer a mask."""
    asked: dict[str, Any] = {}

    def tokenizer(texts: list[str], **options: Any) -> Inputs:
        asked.update(options, texts=texts)
        ids = torch.ones(len(texts), options["max_length"], dtype=torch.int64)
        return {"input_ids": ids, "attention_mask": ids}

    inputs = Tokenizer(tokenizer, 64)(["A Cat\n", "TWO  dogs"])
    assert set(inputs) == {"input_ids"}
    assert asked["texts"] == ["a cat\n", "two  dogs"]
    assert asked["padding"] == "max_length"
    assert asked["max_length"] == 64
    assert asked["truncation"] is True


def test_point_10_a_blackwell_card_needs_a_build_for_it() -> None:
    plan = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]  # 2.6.0 + cu124
    with pytest.raises(InputError, match=r"capability 12\.0") as caught:
        check_kernels("NVIDIA GeForce RTX 5080", (12, 0), plan)
    remedy = str(caught.value).partition("->")[2]
    assert "PyTorch >= 2.7" in remedy
    assert "CUDA >= 12.8" in remedy
    assert "runtime.device to cpu" in remedy
    check_kernels("NVIDIA GeForce RTX 5080", (12, 0), [*plan, "sm_120"])
    check_kernels("NVIDIA GeForce RTX 5080", (12, 0), [*plan, "compute_90"])
