"""The tuning and its memory: the estimate against what PyTorch keeps, and what does not fit."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Never

import psutil
import pytest
import torch
from PIL import Image
from torch import nn

from siglip2_multimodal_hash.device import Precision
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.towers import load_towers, pooled
from siglip2_multimodal_hash.memory.needs import (
    GIB,
    kept_bytes,
)
from siglip2_multimodal_hash.training.tuning.adapters import make_trainable
from siglip2_multimodal_hash.training.tuning.run import tune_towers, tuning_load
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings
from tests.training.tuning.conftest import SmallDataset, TuningParams


def _kept(model: nn.Module, features: Callable[..., Any], inputs: Inputs) -> int:
    """Bytes of the distinct tensors, other than weights, that autograd keeps."""
    sizes: dict[int, int] = {}
    alive: list[torch.Tensor] = []

    def pack(v: torch.Tensor) -> torch.Tensor:
        alive.append(v)
        if not isinstance(v, nn.Parameter):
            sizes[v.untyped_storage().data_ptr()] = v.untyped_storage().nbytes()
        return v

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda v: v):
        out = pooled(features(**inputs))
    weights = {v.untyped_storage().data_ptr() for v in model.parameters()}
    assert out.requires_grad
    return sum(size for pointer, size in sizes.items() if pointer not in weights)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("kind", "mode"), [("siglip", "lora"), ("siglip2", "full")])
def test_the_estimate_is_what_pytorch_keeps_or_a_little_more(
    tuning_params: TuningParams, kind: str, mode: str, half: bool, checkpointing: bool
) -> None:
    params = tuning_params(kind, mode, backbone__gradient_checkpointing=checkpointing)
    settings = TuneSettings.from_params(params)
    cpu, batch = torch.device("cpu"), 8
    towers = load_towers(settings.towers, cpu)
    model = towers.model
    make_trainable(model, settings)
    head = settings.head(128, 128, 80)
    load = tuning_load(model, head, settings, Precision(cpu, torch.bfloat16 if half else None))
    images = towers.preprocess([Image.new("RGB", (128, 128))] * batch)
    texts = towers.tokenize(["a cat"] * batch)
    model.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        kept = _kept(model, model.get_image_features, images)
        kept += _kept(model, model.get_text_features, texts)
    expected = batch * (kept_bytes(load.image, load) + kept_bytes(load.text, load))
    # The half copies of the weights, of which the estimate has a part of its own.
    assert kept <= expected + 2 * load.weights * half
    # With checkpointing the inputs weigh most, and frozen layers do not keep theirs.
    assert expected <= (2.2 if checkpointing else 1.35) * kept


def _settings(tuning_params: TuningParams, mode: str = "full", **more: Any) -> TuneSettings:
    return TuneSettings.from_params(tuning_params("siglip", mode, **more))


def test_the_tuning_itself_refuses_before_it_starts(
    small_dataset: SmallDataset,
    tuning_params: TuningParams,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = SimpleNamespace(total=GIB, available=GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    with pytest.raises(InputError, match=r"the main memory has 1\.0 GiB free"):
        tune_towers(
            small_dataset.index,
            small_dataset.images,
            _settings(tuning_params, tune__batch_size=4096),
            tmp_path / "towers",
        )
    assert list(tmp_path.iterdir()) == []


def test_running_out_all_the_same_names_the_parameters(
    small_dataset: SmallDataset,
    tuning_params: TuningParams,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> Never:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTraceback of the allocator")

    monkeypatch.setattr(nn.Linear, "forward", full)
    said = r"tune\.batch_size = 3, where .* was expected: CUDA out of memory\.\n.*checkpointing"
    with pytest.raises(InputError, match=said):
        tune_towers(
            small_dataset.index,
            small_dataset.images,
            _settings(tuning_params, tune__batch_size=3),
            tmp_path / "towers",
        )
