"""Tuning the embedded towers, both kinds and both ways: what changes, what stays, what is left."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.towers import load_towers
from siglip2_multimodal_hash.training.checkpoint import EpochRecord
from siglip2_multimodal_hash.training.tuning.export import remove_leftovers
from siglip2_multimodal_hash.training.tuning.run import tune_towers
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings
from tests.pipeline.conftest import ROOT
from tests.training.tuning.conftest import CHECKPOINTS, SmallDataset, TuningParams

CPU = torch.device("cpu")
Weights = dict[str, torch.Tensor]
Tuned = Callable[..., tuple[list[EpochRecord], Path]]
CASES = [("siglip", "lora"), ("siglip2", "full")]


@pytest.fixture(scope="session")
def tuned(
    small_dataset: SmallDataset,
    tuning_params: TuningParams,
    tmp_path_factory: pytest.TempPathFactory,
) -> Tuned:
    """Tune and return history and folder; each case once per session."""
    made: dict[tuple[str, str, bool], tuple[list[EpochRecord], Path]] = {}

    def run(kind: str, mode: str, again: bool = False) -> tuple[list[EpochRecord], Path]:
        key = (kind, mode, again)
        if key not in made:
            folder = tmp_path_factory.mktemp(f"{kind}-{mode}") / "towers"
            settings = TuneSettings.from_params(tuning_params(kind, mode))
            history = tune_towers(small_dataset.index, small_dataset.images, settings, folder)
            made[key] = history, folder
        return made[key]

    return run


def _weights(folder: Path) -> Weights:
    return {name: v.float() for name, v in load_file(folder / "model.safetensors").items()}


def _changed(before: Weights, after: Weights) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_the_loss_falls_and_the_record_says_so(tuned: Tuned, kind: str, mode: str) -> None:
    history, folder = tuned(kind, mode)
    assert [record["epoch"] for record in history] == [1, 2]
    assert history[1]["train_total"] < history[0]["train_total"]
    assert history[1]["train_bce"] < history[0]["train_bce"]
    record = json.loads((folder / "tuning.json").read_text())
    assert record["tune"] == mode
    assert record["history"] == history
    best = max(history, key=lambda one: one["val_mAP"])
    assert (record["best_epoch"], record["val_mAP"]) == (best["epoch"], best["val_mAP"])


def test_lora_changes_its_targets_alone(tuned: Tuned) -> None:
    _, folder = tuned("siglip", "lora")
    changed = _changed(_weights(ROOT / "models" / CHECKPOINTS["siglip"]), _weights(folder))
    # Six linear maps in each of 4 + 2 layers, and the two of the pooling head's MLP.
    assert len(changed) == 6 * 6 + 2
    ends = {name.removesuffix(".weight").rpartition(".")[2] for name in changed}
    assert ends == {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"}
    assert not any(name.endswith("bias") or "head.attention" in name for name in changed)


def test_full_changes_every_weight_that_the_head_sees(tuned: Tuned) -> None:
    _, folder = tuned("siglip2", "full")
    before = _weights(ROOT / "models" / CHECKPOINTS["siglip2"])
    assert before.keys() - _changed(before, _weights(folder)) <= {"logit_scale", "logit_bias"}


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_the_folder_is_a_checkpoint_like_the_one_it_came_from(
    tuned: Tuned, tuning_params: TuningParams, kind: str, mode: str
) -> None:
    _, folder = tuned(kind, mode)
    origin = ROOT / "models" / CHECKPOINTS[kind]
    assert {path.name for path in folder.iterdir()} == {
        *(path.name for path in origin.iterdir()),
        "tuning.json",
    }
    for name in ("tokenizer.json", "processor_config.json"):
        assert (folder / name).read_bytes() == (origin / name).read_bytes()
    for path in folder.iterdir():
        assert str(ROOT).encode() not in path.read_bytes()
    backbone = tuning_params(kind, mode).backbone
    towers = load_towers(backbone.model_copy(update={"checkpoint": str(folder)}), CPU)
    assert towers.model_type == kind
    assert towers.encode_texts(["a cat"]).isfinite().all()


def test_a_second_tuning_gives_the_same_bytes(tuned: Tuned) -> None:
    (_, first), (_, second) = tuned("siglip", "lora"), tuned("siglip", "lora", again=True)
    for path in sorted(first.iterdir()):
        digests = {hashlib.sha256((f / path.name).read_bytes()).digest() for f in (first, second)}
        assert len(digests) == 1, path.name


def test_a_diverging_tuning_leaves_nothing_and_names_the_rate(
    small_dataset: SmallDataset, tuning_params: TuningParams, tmp_path: Path
) -> None:
    params = tuning_params("siglip", "full", tune__lr=1e30, tune__warmup_share=0.0)
    with pytest.raises(InputError, match=r"epoch 1, update \d: the loss is NaN .*\n.*tune\.lr"):
        tune_towers(
            small_dataset.index,
            small_dataset.images,
            TuneSettings.from_params(params),
            tmp_path / "towers",
        )
    assert list(tmp_path.iterdir()) == []


def test_a_kill_in_the_midst_of_writing_leaves_no_checkpoint(tmp_path: Path) -> None:
    target = tmp_path / "outputs" / "towers"
    killed = subprocess.run(
        [sys.executable, "-m", "tests.training.tuning.export_child", target],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = target.parent.iterdir()
    assert left.name.startswith(".towers.tmp-")
    assert (left / "new" / "model.safetensors").exists()
    remove_leftovers(target)
    assert list(target.parent.iterdir()) == []


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    temporary = tmp_path / f".towers.tmp-{os.getpid()}"
    temporary.mkdir()
    remove_leftovers(tmp_path / "towers")
    assert temporary.exists()
