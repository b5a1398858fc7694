"""The experiment plan: its preset, and the table that leads from its keys to this project's."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.presets import apply_overrides, list_presets, load_preset
from tests.pipeline.declarations import fields, pipeline_stages

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ROOT / "configs" / "presets"
TABLE = (ROOT / "docs/the-plan.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src/siglip2_multimodal_hash"

# As the plan prints them, and `none`, `default`, `false` for what it does not have.
PLAN: dict[str, Any] = {
    "seed": 42,
    "backbone.text_max_length": 64,
    "backbone.tune": "frozen",
    "decomposer.eps": 1e-6,
    "decomposer.adapter": "none",
    "fusion.type": "hadamard_with_magnitude",
    "fusion.modalities": "both",
    "fusion.project_dim": 0,
    "fusion.mlp_dims": (1024, 512),
    "fusion.dropout": 0.1,
    "fusion.activation": "relu",
    "fusion.standardise": "none",
    "fusion.init": "default",
    "hash.bits": 64,
    "hash.normalize": "none",
    "classifier.use_bias": True,
    "hash.shortcut": "none",
    "training.closed_form": False,
    "classifier.prior": False,
    "loss.objective": "plan",
    "loss.bce_weight": 1.0,
    "loss.alignment": "cosine",
    "loss.cosine_weight": 1.0,
    "loss.hash_weight": 0.1,
    "loss.lambda_balance": 0.1,
    "loss.lambda_decorr": 0.01,
    "loss.imbalance": "none",
    "loss.focal_alpha": 0.25,
    "loss.focal_gamma": 2.0,
    "training.num_epochs": 30,
    "training.max_updates": 0,
    "training.val_every_n_epochs": 1,
    "training.gradient_clip_norm": 1.0,
    "training.early_stopping_patience": 5,
    "training.monitor": "mlp",
    "training.drop_last": True,
    "training.mixed_precision": "auto",
    "optimizer.lr": 2e-4,
    "optimizer.weight_decay": 0.01,
    "optimizer.betas": (0.9, 0.999),
    "optimizer.eps": 1e-8,
    "scheduler.type": "cosine",
    "scheduler.warmup_epochs": 2,
    "scheduler.min_lr": 1e-6,
    "checkpointing.save_top_k": 3,
    "checkpointing.save_last": True,
    "checkpointing.save_every_n_epochs": 5,
    "index.kind": "flat",
    "knn.K": 20,
    "knn.distance": "hamming",
    "knn.vote": "softmax",
    "knn.tau": 0.07,
    "knn.top_n_tags": 5,
}
# Every one of them something else.
ELSEWHERE: dict[str, Any] = {
    "seed": 7,
    "backbone.text_max_length": 32,
    "backbone.tune": "lora",
    "decomposer.eps": 1e-3,
    "decomposer.adapter": "linear",
    "fusion.type": "concat",
    "fusion.modalities": "image",
    "fusion.project_dim": 32,
    "fusion.mlp_dims": [8],
    "fusion.dropout": 0.3,
    "fusion.activation": "gelu",
    "fusion.standardise": "column",
    "fusion.init": "he",
    "hash.bits": 32,
    "hash.normalize": "batchnorm",
    "classifier.use_bias": False,
    "hash.shortcut": "itq",
    "training.closed_form": True,
    "classifier.prior": True,
    "loss.objective": "central",
    "loss.bce_weight": 2.0,
    "loss.alignment": "sigmoid",
    "loss.cosine_weight": 0.5,
    "loss.hash_weight": 0.3,
    "loss.lambda_balance": 1.0,
    "loss.lambda_decorr": 1.0,
    "loss.imbalance": "focal",
    "loss.focal_alpha": 0.5,
    "loss.focal_gamma": 1.0,
    "training.num_epochs": 9,
    "training.max_updates": 100,
    "training.val_every_n_epochs": 2,
    "training.gradient_clip_norm": 2.0,
    "training.early_stopping_patience": 2,
    "training.monitor": "hybrid",
    "training.drop_last": False,
    "training.mixed_precision": "off",
    "optimizer.lr": 1e-2,
    "optimizer.weight_decay": 0.5,
    "optimizer.betas": [0.8, 0.9],
    "optimizer.eps": 1e-6,
    "scheduler.type": "constant",
    "scheduler.warmup_epochs": 0,
    "scheduler.min_lr": 0.0,
    "checkpointing.save_top_k": 1,
    "checkpointing.save_last": False,
    "checkpointing.save_every_n_epochs": 0,
    "index.kind": "hnsw",
    "knn.K": 9,
    "knn.distance": "whitened",
    "knn.vote": "rank",
    "knn.tau": 1.0,
    "knn.top_n_tags": 3,
}


def rows(heading: str) -> list[list[str]]:
    """Cells of the table below a heading, without its head."""
    part = TABLE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall("`([^`]+)`", cell)


@pytest.mark.parametrize(
    "name", [None, *(preset.name for preset in list_presets(PRESETS) if preset.name != "plan-v2.2")]
)
def test_from_anywhere_the_preset_leads_to_the_plan(name: str | None, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    roots = {"runtime.coco_root": "/data/coco", "runtime.dataset_root": "/data/photos"}
    before = load_preset(name, PRESETS).overrides | roots if name else ELSEWHERE
    apply_overrides(path, before)
    apply_overrides(path, load_preset("plan-v2.2", PRESETS).overrides)
    params = load_params(path)
    for key, value in PLAN.items():
        found: Any = params
        for part in key.split("."):
            found = getattr(found, part)
        assert found == value, key


def test_elsewhere_is_elsewhere() -> None:
    assert ELSEWHERE.keys() == PLAN.keys()
    assert not [key for key, value in PLAN.items() if value == ELSEWHERE[key]]


def test_every_key_of_the_table_is_a_parameter() -> None:
    known = {key for _, key in fields()}
    sections = {key.rpartition(".")[0] for key in known}
    for cells in rows("Keys"):
        for key in quoted(cells[1]):
            if "." in key or cells[1] == f"`{key}`":
                assert key in known, key
    for cells in rows("Scripts"):
        for name in quoted(cells[1]):
            if name.startswith("smhash "):
                assert (PACKAGE / "cli" / f"{name.split()[1]}.py").is_file(), name
            elif name.endswith(("/", ".py")):
                assert (PACKAGE / name).exists(), name
            else:
                assert name in pipeline_stages() or name in sections, name


def test_every_key_of_the_preset_is_in_the_table_where_the_plan_has_it() -> None:
    shown = {key for cells in rows("Keys") for cell in cells[1:] for key in quoted(cell)}
    own = {"decomposer.adapter", "fusion.modalities", "fusion.project_dim", "index.kind"}
    assert PLAN.keys() - own <= shown


@pytest.mark.parametrize(
    "key",
    [
        "training.gradient_accumulation_steps",
        "training.monitor_metric",
        "knn.voting_strategy",
        "loss.hash_reg.lambda_balance",
        "loss.use_focal_loss",
        "scheduler.warmup_ratio",
        "scheduler.type",
        "augmentation",
    ],
)
def test_keys_that_are_looked_for_are_there(key: str) -> None:
    assert any(key in quoted(cells[0]) for cells in rows("Keys"))


def test_the_preset_sets_nothing_that_the_plan_leaves_open() -> None:
    """But for settings without effect under it, which it sets back, and the rate of a baseline."""
    idle = {"loss.temperature", "loss.learn_temperature", "baselines.mlp_lr"}
    assert load_preset("plan-v2.2", PRESETS).overrides.keys() == PLAN.keys() | idle
    text = (PRESETS / "plan-v2.2.yaml").read_text(encoding="utf-8")
    assert YAML(typ="safe").load(text)["overrides"]["baselines.mlp_lr"] == 2e-4
