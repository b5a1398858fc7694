"""Checkpoints that cannot be used: each refused by the parameter's name, value and remedy."""

import json
from pathlib import Path
from typing import Any, Never

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.towers import load_towers
from siglip2_multimodal_hash.params import BackboneParams
from tests.features.tiny import make_backbone, save_checkpoint

CPU = torch.device("cpu")


def refusal(backbone: BackboneParams) -> str:
    with pytest.raises(InputError) as caught:
        load_towers(backbone, CPU)
    return str(caught.value)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hub, asked without a network; counts the questions."""
    asked: list[str] = []

    def refuse(name: str, **_: object) -> Never:
        asked.append(name)
        raise OSError("We couldn't connect to the hub\nand more")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", refuse)
    return asked


@pytest.mark.parametrize("name", ["/nowhere/tiny", "./tiny", "models/no-such-folder", "a/b/c", "x"])
def test_absent_folder_is_told_without_asking_the_hub(
    unreachable: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    message = refusal(make_backbone(name))
    assert f"backbone.checkpoint = {name}" in message
    assert "no such folder" in message
    assert "model.safetensors" in message
    assert not unreachable


def test_unreachable_hub(
    unreachable: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal(make_backbone("google/siglip2-base-patch16-256"))
    assert "backbone.checkpoint = google/siglip2-base-patch16-256" in message
    assert "couldn't connect" in message
    assert "and more" not in message
    assert "hub" in message
    assert unreachable


def test_revision_goes_to_the_hub_and_not_to_a_folder(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[dict[str, Any]] = []
    original = transformers.AutoConfig.from_pretrained

    def spy(name: str, **options: Any) -> Any:
        seen.append(options)
        return original(name, **options)

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", spy)
    load_towers(make_backbone(checkpoints["siglip"], revision="abc"), CPU)
    assert "revision" not in seen[0]
    monkeypatch.chdir(tmp_path)

    def stop(*_: object, **options: Any) -> Never:
        seen.append(options)
        raise OSError("stop")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", stop)
    refusal(make_backbone("owner/name", revision="abc"))
    assert seen[-1]["revision"] == "abc"


def test_no_call_trusts_code_and_weights_are_safetensors(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: dict[str, Any] = {}

    def watch(cls: Any) -> None:
        original = cls.from_pretrained

        def spy(*arguments: Any, **options: Any) -> Any:
            calls[cls.__name__] = options
            return original(*arguments, **options)

        monkeypatch.setattr(cls, "from_pretrained", spy)

    for cls in (
        transformers.AutoConfig,
        transformers.AutoModel,
        transformers.AutoProcessor,
        transformers.AutoImageProcessor,
    ):
        watch(cls)
    load_towers(make_backbone(checkpoint), CPU)
    assert len(calls) == 4
    assert not any(options.get("trust_remote_code") for options in calls.values())
    assert calls["AutoModel"]["use_safetensors"] is True


def test_other_model_type(tmp_path: Path) -> None:
    CLIPConfig().save_pretrained(tmp_path)
    message = refusal(make_backbone(tmp_path))
    assert f"backbone.checkpoint = {tmp_path}: model type 'clip'" in message
    assert "'siglip' or 'siglip2'" in message


def test_one_tower_is_not_enough(tmp_path: Path) -> None:
    transformers.SiglipVisionConfig().save_pretrained(tmp_path)
    assert "model type 'siglip_vision_model'" in refusal(make_backbone(tmp_path))


@pytest.mark.parametrize("kind", ["siglip", "siglip2"])
@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "processor_config.json", "tokenizer.json"]
)
@pytest.mark.parametrize("damage", ["absent", "truncated"])
def test_damaged_files(tmp_path: Path, kind: str, name: str, damage: str) -> None:
    file = save_checkpoint(tmp_path / kind, kind) / name
    if damage == "absent":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:20])
    message = refusal(make_backbone(file.parent))
    assert f"backbone.checkpoint = {file.parent}: cannot be loaded" in message
    assert len(message.splitlines()) == 2


def test_tokenizer_without_words_is_not_taken_for_one(tmp_path: Path) -> None:
    """The trap: without its file the library builds an empty one, and every word is unknown."""
    folder = save_checkpoint(tmp_path / "mute", "siglip")
    (folder / "tokenizer.json").unlink()
    assert "its tokenizer has no vocabulary" in refusal(make_backbone(folder))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "pickled", "siglip")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "cannot be loaded" in refusal(make_backbone(folder))


def test_missing_weights_are_not_filled_with_random_numbers(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "part", "siglip")
    weights = load_file(folder / "model.safetensors")
    del weights["text_model.head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    message = refusal(make_backbone(folder))
    assert "1 weights are missing, such as text_model.head.weight" in message


def test_weights_of_another_shape(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "other", "siglip")
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["intermediate_size"] = 128
    (folder / "config.json").write_text(json.dumps(config))
    assert "cannot be loaded" in refusal(make_backbone(folder))


def test_tower_without_pooling_head(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "headless", "siglip")
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["vision_use_head"] = False
    (folder / "config.json").write_text(json.dumps(config))
    assert "no pooling head" in refusal(make_backbone(folder))


def test_longer_texts_than_the_tower_has_positions(checkpoint: Path) -> None:
    message = refusal(make_backbone(checkpoint, text_max_length=65))
    assert "backbone.text_max_length = 65" in message
    assert "64 positions" in message


def test_float16_needs_cuda(checkpoint: Path) -> None:
    message = refusal(make_backbone(checkpoint, amp_dtype="float16"))
    assert "backbone.amp_dtype = float16" in message
    assert "float32 or bfloat16" in message
