"""Adapters: where they go, that they start as nothing, and that merging keeps what they did."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.towers import load_towers, pooled
from siglip2_multimodal_hash.training.tuning.adapters import (
    adapted_layers,
    make_trainable,
    merge_adapters,
    trainable_weights,
)
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings
from tests.training.tuning.conftest import TuningParams

KINDS = ("siglip", "siglip2")
Ready = Callable[..., tuple[Any, Any, Inputs, Inputs]]


@pytest.fixture
def ready(tuning_params: TuningParams) -> Ready:
    """Towers, what `make_trainable` hands back, and inputs of two pairs."""

    def make(kind: str, mode: str, **more: Any) -> tuple[Any, Any, Inputs, Inputs]:
        settings = TuneSettings.from_params(tuning_params(kind, mode, **more))
        towers = load_towers(settings.towers, torch.device("cpu"))
        torch.manual_seed(0)
        adapted = make_trainable(towers.model, settings)
        pictures = [Image.new("RGB", (128, 96), (200, 30 * number, 90)) for number in range(2)]
        return towers.model, adapted, towers.preprocess(pictures), towers.tokenize(["a cat", "two"])

    return make


def outputs(model: Any, images: Inputs, texts: Inputs) -> torch.Tensor:
    return torch.cat(
        [pooled(model.get_image_features(**images)), pooled(model.get_text_features(**texts))]
    )


def step(model: Any, images: Inputs, texts: Inputs) -> None:
    """One large step downhill, so that both factors of the adapters leave their start."""
    weights = list(trainable_weights(model).values())
    for _ in range(2):
        loss = outputs(model, images, texts).square().mean()
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.data -= 0.5 * gradient


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_start_as_the_identity_and_merge_into_what_they_became(
    ready: Ready, kind: str
) -> None:
    model, adapted, images, texts = ready(kind, "lora")
    with torch.no_grad(), adapted.disable_adapter():
        plain = outputs(model, images, texts)
    with torch.no_grad():
        assert torch.equal(outputs(model, images, texts), plain)
    assert all("lora_" in name for name in trainable_weights(model))
    step(model, images, texts)
    with torch.no_grad():
        moved = outputs(model, images, texts)
        assert (moved - plain).abs().max() > 1e-2
        merged = merge_adapters(adapted)
        assert not any("lora" in name for name, _ in merged.named_parameters())
        assert not trainable_weights(merged)
        torch.testing.assert_close(outputs(merged, images, texts), moved, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_full_trains_all_but_the_contrastive_scale_and_bias(ready: Ready, kind: str) -> None:
    model, adapted, *_ = ready(kind, "full")
    assert adapted is model
    assert {name for name, _ in model.named_parameters()} - trainable_weights(model).keys() == {
        "logit_scale",
        "logit_bias",
    }


@pytest.mark.parametrize("mode", ["lora", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_keeps_less_and_gives_the_same_gradients(
    ready: Ready, kind: str, mode: str
) -> None:
    kept: dict[bool, int] = {}
    gradients: dict[bool, tuple[torch.Tensor, ...]] = {}
    for checkpointing in (False, True):
        model, _, images, texts = ready(kind, mode, backbone__gradient_checkpointing=checkpointing)
        model.train()
        sizes: list[int] = []

        def pack(v: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(v.numel())
            return v

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda v: v):
            loss = outputs(model, images, texts).square().mean()
        kept[checkpointing] = sum(sizes)
        weights = list(trainable_weights(model).values())
        gradients[checkpointing] = torch.autograd.grad(loss, weights)
    assert kept[True] < kept[False] / 2
    for plain, recomputed in zip(gradients[False], gradients[True], strict=True):
        torch.testing.assert_close(recomputed, plain)


def test_the_attention_of_the_pooling_head_is_left_out(ready: Ready) -> None:
    model, *_ = ready("siglip", "full")
    names = adapted_layers(model, ("out_proj",))
    assert len(names) == 4 + 2  # a layer of the image and of the text tower each
    assert not any("head" in name for name in names)


def test_an_unknown_target_is_named_with_what_there_is(ready: Ready) -> None:
    with pytest.raises(InputError, match=r"(?s)tune\.lora\.targets.*c_proj.*fc1, fc2.*q_proj"):
        ready("siglip", "lora", tune__lora__targets=["q_proj", "c_proj"])


def test_without_peft_the_remedy_is_its_extra(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"(?s)backbone\.tune = lora.*peft.*\.\[tune\]"):
        ready("siglip", "lora")
