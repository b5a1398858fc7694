"""The folder that a fit leaves: names, round trip, and what is refused on the way back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.checkpoint import (
    BEST,
    CONFIG,
    HISTORY,
    LAST,
    CheckpointWriter,
    load_head,
)
from siglip2_multimodal_hash.training.loop import Checkpoints, FitResult, fit
from tests.training.small_fits import (
    checkpointing,
    small_head,
    small_settings,
    small_training,
    small_validation,
)

VAL_MAPS = [0.3, 0.5, None, 0.5, 0.61234, 0.1]


def weights(epoch: int) -> dict[str, torch.Tensor]:
    return {"w": torch.full((2,), float(epoch))}


def write(folder: Path, **params: Any) -> dict[str, float]:
    """Six epochs whose weights hold their number; returns the number behind each file."""
    writer = CheckpointWriter(folder, checkpointing(**params))
    for epoch, val_map in enumerate(VAL_MAPS, start=1):
        writer.after_epoch(epoch, weights(epoch), val_map)
    writer.finish(small_head(), [{"epoch": 1, "lr": 0.5}], weights(6))
    return {path.name: load_file(path)["w"][0] for path in folder.glob("*.safetensors")}


def test_the_best_epochs_are_kept_the_earlier_of_two_equals(tmp_path: Path) -> None:
    assert write(tmp_path / "out", save_top_k=2, save_last=False, save_every_n_epochs=0) == {
        BEST: 5,
        "epoch=05-val_mAP=0.6123.safetensors": 5,
        "epoch=02-val_mAP=0.5000.safetensors": 2,
    }


def test_the_last_epoch_and_every_third_are_kept(tmp_path: Path) -> None:
    found = write(tmp_path / "out", save_top_k=1, save_last=True, save_every_n_epochs=3)
    assert found == {
        BEST: 5,
        LAST: 6,
        "epoch=03.safetensors": 3,
        "epoch=06.safetensors": 6,
        "epoch=05-val_mAP=0.6123.safetensors": 5,
    }


def test_more_to_keep_than_there_are(tmp_path: Path) -> None:
    found = write(tmp_path / "out", save_top_k=99, save_last=False, save_every_n_epochs=0)
    assert sorted(found.values()) == [1, 2, 4, 5, 5, 6]


def test_the_summary_is_plain_json(tmp_path: Path) -> None:
    write(tmp_path / "out")
    summary = json.loads((tmp_path / "out" / CONFIG).read_text())
    assert summary["best_epoch"] == 5
    assert summary["val_mAP"] == 0.61234
    assert HeadConfig.from_json(summary["head"]) == small_head()
    assert json.loads((tmp_path / "out" / HISTORY).read_text()) == [{"epoch": 1, "lr": 0.5}]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FitResult]:
    folder = tmp_path_factory.mktemp("fit") / "out"
    checkpoints = Checkpoints(folder, checkpointing())
    head = small_head(adapter="residual")
    return folder, fit(head, small_training(), small_validation(), small_settings(), checkpoints)


@pytest.fixture
def folder(fitted: tuple[Path, FitResult], tmp_path: Path) -> Path:
    """A copy to be damaged."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in fitted[0].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def test_round_trip(fitted: tuple[Path, FitResult]) -> None:
    folder, result = fitted
    network, config = load_head(folder)
    assert config == result.network.config
    assert not network.training
    val = small_validation()
    for one, other in zip(
        network.encode(val.v_img, val.v_txt),
        result.network.encode(val.v_img, val.v_txt),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_point_12_the_weights_are_safetensors_and_the_rest_is_json(
    fitted: tuple[Path, FitResult],
) -> None:
    folder, result = fitted
    files = {path.name: path.suffix for path in folder.iterdir()}
    assert set(files.values()) == {".safetensors", ".json"}
    stored = load_file(folder / BEST)  # by NumPy, without PyTorch
    assert {name: v.shape for name, v in stored.items()} == {
        name: tuple(v.shape) for name, v in result.network.state_dict().items()
    }
    assert all(v.dtype == np.float32 for v in stored.values())


def test_another_file_of_the_folder_can_be_loaded(fitted: tuple[Path, FitResult]) -> None:
    folder, _ = fitted
    network, _ = load_head(folder, LAST)
    stored = load_file(folder / LAST)
    assert np.array_equal(network.classifier.weight.detach().numpy(), stored["classifier.weight"])


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage", "a folder"])
def test_damaged_weights_are_refused_by_name(damage: str, folder: Path) -> None:
    path = folder / BEST
    data = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "truncated": data[:-100], "garbage": b"?" * 500}[damage])
    with pytest.raises(DataError, match=r"best\.safetensors.*\n.*dvc repro") as raised:
        load_head(folder)
    assert str(path) in str(raised.value)


def changed_config(folder: Path, **changes: Any) -> None:
    summary = json.loads((folder / CONFIG).read_text())
    summary["head"] |= changes
    (folder / CONFIG).write_text(json.dumps(summary))


def test_weights_and_config_that_do_not_belong_together_are_refused(folder: Path) -> None:
    changed_config(folder, bits=32)
    with pytest.raises(DataError, match=r"best\.safetensors: .*\[16.*in config\.json.*\[32"):
        load_head(folder)
    changed_config(folder, bits=0)
    with pytest.raises(DataError, match=r"best\.safetensors: .*hash_layer\.weight"):
        load_head(folder)


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    stored = load_file(folder / BEST)
    stored["classifier.bias"][0] = np.nan
    save_file(stored, folder / BEST)
    with pytest.raises(DataError, match=r"best\.safetensors: classifier\.bias holds NaN"):
        load_head(folder)


def test_weights_of_another_dtype_are_refused(folder: Path) -> None:
    stored = {name: v.astype(np.float16) for name, v in load_file(folder / BEST).items()}
    save_file(stored, folder / BEST)
    with pytest.raises(DataError, match=r"best\.safetensors: .*float16.*float32"):
        load_head(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"head": {"bits": 16}}', '{"head": 3}'])
def test_a_damaged_config_is_refused_by_name(text: str, folder: Path) -> None:
    (folder / CONFIG).write_text(text)
    with pytest.raises(DataError, match=r"config\.json"):
        load_head(folder)


def test_a_config_with_an_impossible_value_is_refused_by_name(folder: Path) -> None:
    changed_config(folder, bits=48)
    with pytest.raises(DataError, match=r"config\.json: head: bits = 48"):
        load_head(folder)


def test_a_missing_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.config\.json: no such file"):
        load_head(tmp_path / "nowhere")


def test_weights_that_are_views_can_be_written(tmp_path: Path) -> None:
    network = HashNetwork(small_head())
    state = {
        name: v.T.contiguous().T if v.ndim == 2 else v for name, v in network.state_dict().items()
    }
    writer = CheckpointWriter(tmp_path / "out", checkpointing())
    writer.after_epoch(1, state, 0.5)
    writer.finish(network.config, [], state)
    again, _ = load_head(tmp_path / "out")
    assert all(torch.equal(v, again.state_dict()[name]) for name, v in state.items())
