"""All checks together: on this machine, on machines that are not here, and as a command."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from siglip2_multimodal_hash.doctor import gathering
from siglip2_multimodal_hash.doctor.checkpoints import Checkpoint
from siglip2_multimodal_hash.doctor.diagnosis import Facts, as_json, as_text, diagnose
from siglip2_multimodal_hash.doctor.findings import Finding, fail_with, worst
from siglip2_multimodal_hash.doctor.gathering import crash_of, gather_machine
from siglip2_multimodal_hash.doctor.repository import Repository
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.kernels import PINNED_ENVIRONMENT
from siglip2_multimodal_hash.presets import list_presets, override_text
from tests.doctor.machines import (
    CU124,
    LAPTOP,
    PLAN,
    PRESETS,
    ROOT,
    TEXT,
    params_with,
)

HUB = Checkpoint("hub", weights=1_500_000_000)
REPOSITORY = Repository(True, True, True, True, branch="main", locked=True)
FACTS = Facts(PLAN, REPOSITORY, HUB, list_presets(PRESETS))


def test_the_plan_s_machine_passes(tmp_path: Path) -> None:
    params = params_with("siglip2-base-256", "rtx5080-16gb")
    findings = diagnose(params, FACTS, tmp_path)
    assert worst(findings) == "ok", as_text(findings)
    assert as_text(findings).endswith("`dvc repro` has what it needs")


def test_the_plan_s_pytorch_on_the_plan_s_card_fails(tmp_path: Path) -> None:
    params = params_with("siglip2-base-256", "rtx5080-16gb")
    facts = replace(FACTS, machine=replace(PLAN, torch=CU124))
    findings = diagnose(params, facts, tmp_path)
    assert [one.name for one in findings if one.status == "fail"] == ["pytorch"]
    assert as_text(findings).endswith("1 fail: `dvc repro` will stop")


def test_a_laptop_without_network_is_fine_with_the_default(tmp_path: Path) -> None:
    """The embedded checkpoint and the rendered dataset need none."""
    config = json.loads((ROOT / "models/siglip2-tiny-patch16-128/config.json").read_text())
    facts = Facts(LAPTOP, REPOSITORY, Checkpoint("folder", "", 3_000_000, config), FACTS.presets)
    findings = diagnose(params_with(), facts, tmp_path)
    assert worst(findings) == "ok", as_text(findings)


def test_towers_that_know_another_dataset_alone_are_told(tmp_path: Path) -> None:
    config = json.loads((ROOT / "models/siglip2-tiny-naflex/config.json").read_text())
    facts = replace(FACTS, checkpoint=Checkpoint("folder", "", 3_000_000, config))
    (found,) = (
        one
        for one in diagnose(
            params_with(dataset__kind="coco2014", dataset__name="coco2014"), facts, tmp_path
        )
        if one.name == "checkpoint"
    )
    assert found.status == "warn"
    assert "trained on mojicoco and on nothing else, but dataset.name = coco2014" in found.finding
    assert "siglip2-base-256" in found.remedy


def test_whatever_is_not_ok_has_a_remedy_and_names_come_once(tmp_path: Path) -> None:
    bare = replace(
        LAPTOP, python=(3, 9, 0), torch=None, faiss=None, artwork=False, ram=1, disk_free=1
    )
    facts = Facts(bare, Repository(False, False), Checkpoint("unreachable", "no"), [])
    findings = diagnose(params_with("siglip2-large-256", "rtx5080-16gb"), facts, tmp_path)
    assert all(bool(one.remedy) == (one.status != "ok") for one in findings)
    assert len({one.name for one in findings}) == len(findings)
    failed = {one.name for one in findings if one.status == "fail"}
    assert failed >= {"python", "pytorch", "faiss", "git and dvc", "dataset", "checkpoint"}
    assert failed >= {"main memory", "disk"}


def test_towers_that_do_not_suit_the_fusion_are_told(tmp_path: Path) -> None:
    config = {
        "model_type": "siglip",
        "vision_config": {"hidden_size": 768},
        "text_config": {"hidden_size": 512},
    }
    facts = replace(FACTS, checkpoint=Checkpoint("folder", "", 1000, config))
    (found,) = (one for one in diagnose(params_with(), facts, tmp_path) if one.name == "fusion")
    assert found.status == "fail"
    assert "768" in found.finding
    assert found.remedy == "`smhash use -S fusion.project_dim=512`"
    after = diagnose(params_with(fusion__project_dim=512), facts, tmp_path)
    assert "fusion" not in [one.name for one in after]


def test_json_is_one_object(tmp_path: Path) -> None:
    findings = diagnose(params_with("rtx5080-16gb"), FACTS, tmp_path)
    content = json.loads(as_json(findings, FACTS))
    assert content["status"] == worst(findings)
    assert content["checks"][0] == {
        "name": "python",
        "status": "ok",
        "finding": "3.12.3",
        "remedy": "",
    }
    assert content["machine"]["cards"][0]["capability"] == [12, 0]
    assert content["machine"]["cpu_features"] == ["avx2", "fma", "sse2"]


@pytest.mark.parametrize(
    ("script", "cards"),
    [
        (
            "echo 'NVIDIA GeForce RTX 5080'; echo 'NVIDIA L4'",
            ("NVIDIA GeForce RTX 5080", "NVIDIA L4"),
        ),
        ("echo 'no devices were found' >&2; exit 6", ()),
    ],
)
def test_this_machine_and_cards_that_only_the_driver_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, cards: tuple[str, ...]
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if not cards:  # once is enough: it loads every library anew
        monkeypatch.setattr(gathering, "crash_of", lambda _: "")
    machine = gather_machine(ROOT)
    assert machine.unseen_cards == (() if machine.cards else cards)
    assert machine.python == sys.version_info[:3]
    assert machine.torch is not None
    assert machine.faiss is not None
    assert machine.artwork
    assert 2**30 < machine.ram < 2**50
    assert machine.cores >= 1
    assert machine.disk_free > 0
    assert set(machine.environment) == set(PINNED_ENVIRONMENT)
    assert machine.crash == ""
    if sys.platform == "linux" and machine.processor == "x86_64":
        assert machine.cpu_features is not None
        assert "sse2" in machine.cpu_features


@pytest.mark.parametrize(
    ("end", "crash"),
    [("os.abort()", "NumPy (SIGABRT)"), ("sys.exit(3)", ""), ("sys.exit(0)", "")],
)
def test_a_library_that_a_signal_ends_is_named(end: str, crash: str) -> None:
    assert crash_of(f"import os, sys\nprint('NumPy', flush=True)\n{end}") == crash


def test_parts_of_an_error() -> None:
    found = fail_with("dataset", DataError("a\n  b", "mend"))
    assert found == Finding("dataset", "fail", "a\n  b", "mend")
    assert worst([]) == "ok"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with everything that the default needs."""
    (tmp_path / "params.yaml").write_text(TEXT, encoding="utf-8")
    for name in ("configs", "models"):
        (tmp_path / name).symlink_to(ROOT / name, target_is_directory=True)
    (tmp_path / ".dvc").mkdir()
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    return tmp_path


def test_the_command_ends_with_0_where_nothing_fails(
    project: Path,
    smhash: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project)
    params = TEXT.replace("device: auto", "device: cpu")
    (project / "params.yaml").write_text(params, encoding="utf-8")
    code = smhash("doctor", "--json", "--load")
    said = capsys.readouterr()
    assert (code, said.err) == (0, ""), said.out
    content = json.loads(said.out)
    assert content["status"] in ("ok", "warn")
    assert content["checks"][-1]["name"] == "towers"
    assert set(content["machine"]["versions"]) == {"numpy", "transformers", "pycocotools"}


def test_the_command_ends_with_1_where_something_fails(project: Path) -> None:
    other = {"backbone.checkpoint": "google/siglip2-base-patch16-256"}
    params = override_text(TEXT, other, source="params.yaml")
    (project / "params.yaml").write_text(params, encoding="utf-8")
    # A hub that refuses connections at once; its client reads where it is when it is imported.
    environment = {
        "PYTHONPATH": str(ROOT / "src"),
        "PATH": "/usr/bin:/bin",
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(project / "cache"),
    }
    command = [sys.executable, "-m", "siglip2_multimodal_hash.cli", "doctor"]
    result = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (1, "")
    assert "the hub cannot be reached" in result.stdout
    assert not (project / "cache").exists()


def test_the_command_ends_with_2_on_bad_parameters(
    project: Path,
    smhash: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project)
    (project / "params.yaml").write_text(TEXT.replace("seed: 42", "seed: -1"), encoding="utf-8")
    assert smhash("doctor") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "seed = -1" in said.err
