"""DVC sees changes of inputs outside the repository, in the same place and by another path."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.datasets.mojicoco import generate_mojicoco
from siglip2_multimodal_hash.presets import apply_overrides
from tests.pipeline.conftest import ROOT, small_params
from tests.pipeline.declarations import pipeline_stages
from tests.pipeline.repositories import new_repository, run_in

EMBEDDED = "siglip2-tiny-patch16-128"
IDENTIFY = "identify_input@{}".format


def ran(repository: Path, target: str) -> set[str]:
    """Reproduce a stage; what ran beside the checks of parameters."""
    result = run_in(repository, "dvc", "repro", target)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1] for line in lines} - {"check_params", "check_dataset"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A new repository; nothing has run."""
    folder = tmp_path / "repository"
    folder.mkdir()
    new_repository(folder, small_params(dataset__mojicoco__image_size=64))
    return folder


def coco(folder: Path) -> Path:
    """A source in COCO's layout, of twelve images in folders."""
    sizes: dict[str, Any] = {"train": 6, "restval": 2, "val": 2, "test": 2, "image_size": 64}
    generate_mojicoco(folder, **sizes, seed=1, workers=1)
    for archive in (folder / "images").glob("*.zip"):
        shutil.unpack_archive(archive, archive.parent)
        archive.unlink()
    return folder


def test_another_source_and_a_change_in_place(repository: Path, tmp_path: Path) -> None:
    identify, first = IDENTIFY("source/coco2014"), coco(tmp_path / "first")
    use = {"dataset.kind": "coco2014", "dataset.name": "coco2014", "runtime.coco_root": str(first)}
    apply_overrides(repository / "params.yaml", use)
    split = "download_karpathy_split"
    assert ran(repository, split) == {identify, "prepare_dataset", split}

    equal = shutil.copytree(first, tmp_path / "equal")
    apply_overrides(repository / "params.yaml", {"runtime.coco_root": str(equal)})
    assert ran(repository, split) == {identify}

    image = next((equal / "images/val2014").iterdir())
    image.write_bytes(image.read_bytes() + b"0")
    assert ran(repository, split) == {identify, "prepare_dataset", split}
    # Only what the project itself keeps there.
    assert run_in(repository, "git", "add", "-A").returncode == 0
    kept = run_in(repository, "git", "ls-files", "inputs/source").stdout.split()
    assert kept == ["inputs/source/mojicoco.json"]


def test_weights_that_are_overwritten(repository: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(ROOT / "models" / EMBEDDED, tmp_path / "model")
    apply_overrides(repository / "params.yaml", {"backbone.checkpoint": str(checkpoint)})
    identify = IDENTIFY(f"weights/{checkpoint}")
    assert {identify, "tune_towers"} < ran(repository, "tune_towers")
    (checkpoint / "README.md").write_text("Other words.")
    assert ran(repository, "tune_towers") == {identify}
    status = run_in(repository, "dvc", "status", "--with-deps", "tune_towers").stdout
    assert f"{identify}:\n\talways changed" in status

    weights = checkpoint / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert ran(repository, "tune_towers") == {identify, "tune_towers"}


def test_towers_are_read_by_stages_that_depend_on_their_identity() -> None:
    identity = "inputs/weights/${backbone.checkpoint}.json"
    stages = pipeline_stages()
    assert {name for name in stages if identity in stages[name]["deps"]} == {
        "tune_towers",
        "embed",
    }
    source = "inputs/source/${dataset.name}.json"
    assert {name for name in stages if source in stages[name]["deps"]} == {"prepare_dataset"}


def test_nothing_is_outside_by_default(repository: Path) -> None:
    result = run_in(repository, "dvc", "status")
    assert result.returncode == 0, result.stderr
    assert "always changed" not in result.stdout
    assert "prepare_dataset" in result.stdout
    assert "identify_input@" not in result.stdout
