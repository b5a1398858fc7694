"""A mojicoco of 60 images, and the embedded towers with settings that tune them in seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.datasets.images import ImageSource, open_image_source
from siglip2_multimodal_hash.datasets.index import DatasetIndex, read_index
from siglip2_multimodal_hash.params import Params, parse_params
from tests.pipeline.conftest import ROOT, commands, run_stage, small_params, working_in

CHECKPOINTS = {"siglip": "siglip2-tiny-patch16-128", "siglip2": "siglip2-tiny-naflex"}
SIZES = {"train": 24, "restval": 8, "val": 16, "test": 12}
SMALL = {f"dataset__mojicoco__{split}": count for split, count in SIZES.items()}
TUNING: dict[str, Any] = {
    "tune__epochs": 2,
    "tune__batch_size": 8,
    "tune__accumulation_steps": 2,
    "tune__lr": 1e-4,
    "tune__lora__lr": 1e-3,
    "tune__lora__rank": 4,
    "runtime__device": "cpu",
}
TuningParams = Callable[..., Params]


@dataclass(frozen=True)
class SmallDataset:
    """A dataset on disk: what the first three stages wrote."""

    folder: Path
    index: DatasetIndex
    images: ImageSource


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> SmallDataset:
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "params.yaml").write_text(small_params(**SMALL), encoding="utf-8")
    with working_in(folder):
        for stage in ("prepare_dataset", "download_karpathy_split", "build_dataset_index"):
            assert run_stage(commands()[stage]) == 0
    data = folder / "data" / "mojicoco"
    return SmallDataset(
        folder, read_index(data / "index.parquet"), open_image_source(data / "source")
    )


def tuning_text(kind: str, mode: str, **more: Any) -> str:
    """params.yaml that tunes the embedded towers of a kind."""
    towers = {
        "backbone__checkpoint": str(ROOT / "models" / CHECKPOINTS[kind]),
        "backbone__max_num_patches": 64,
        "backbone__tune": mode,
    }
    return small_params(**SMALL | TUNING | towers | more)


@pytest.fixture(scope="session")
def tuning_params() -> TuningParams:
    def make(kind: str, mode: str, **more: Any) -> Params:
        from ruamel.yaml import YAML

        return parse_params(YAML(typ="safe", pure=True).load(tuning_text(kind, mode, **more)))

    return make
