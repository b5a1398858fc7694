"""Machines to judge: the plan's, a small one, one without a card; and params.yaml with presets."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.doctor.machine import Card, FaissBuild, Machine, TorchBuild
from siglip2_multimodal_hash.memory.needs import Needs, run_needs
from siglip2_multimodal_hash.memory.towers import TowerSizes, tower_sizes
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.presets import load_preset, merge_limits, merge_presets
from tests import parameters

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
PRESETS = ROOT / "configs" / "presets"

GIB = 2**30

RTX_5080 = Card("NVIDIA GeForce RTX 5080", (12, 0), int(15.9 * GIB), 15 * GIB, bfloat16=True)
GTX_1050 = Card("NVIDIA GeForce GTX 1050", (6, 1), 2 * GIB, 2 * GIB, bfloat16=False)
H200 = Card("NVIDIA H200", (9, 0), 140 * GIB, 139 * GIB, bfloat16=True)

CU124 = TorchBuild("2.6.0+cu124", "12.4", architectures=("sm_50", "sm_80", "sm_86", "sm_90"))
CU128 = TorchBuild("2.9.0+cu128", "12.8", architectures=("sm_75", "sm_80", "sm_90", "sm_120"))
CPU_BUILD = TorchBuild("2.9.0+cpu")

LAPTOP = Machine(
    python=(3, 12, 3),
    processor="x86_64",
    cores=2,
    cpu_features=frozenset({"sse2", "avx2", "fma"}),
    ram=8 * GIB,
    torch=CPU_BUILD,
    faiss=FaissBuild("1.13.2"),
    versions={"numpy": "2.4.6", "transformers": "5.23.0", "pycocotools": "2.0.11"},
    disk_free=50 * GIB,
    cache_free=50 * GIB,
)
PLAN = replace(
    LAPTOP,
    cores=32,
    ram=42 * GIB,
    torch=CU128,
    faiss=FaissBuild("1.13.2", for_gpus=True, gpus=1),
    cards=(RTX_5080,),
)


def params_with(*presets: str, **changes: Any) -> Params:
    """params.yaml with presets, then ``section__key`` set to a value."""
    chosen = [load_preset(name, PRESETS) for name in presets]
    overrides = merge_presets(chosen) | {"runtime.coco_root": "/data/coco"}
    overrides |= {key.replace("__", "."): value for key, value in changes.items()}
    return parameters.params_with(overrides, merge_limits(chosen))


def towers_of(params: Params) -> TowerSizes:
    """By the embedded checkpoint's configuration, or by the name on the hub."""
    file = ROOT / params.backbone.checkpoint / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    return tower_sizes(params.backbone, config)


def needs_of(params: Params, *, cuda: bool = True) -> Needs:
    return run_needs(params, towers_of(params), cuda=cuda)
