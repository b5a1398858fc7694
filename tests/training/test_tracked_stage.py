"""DVCLive inside a stage of a real DVC project: plots can be shown, the run cache keeps working."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

STAGE = """
from pathlib import Path
from siglip2_multimodal_hash.training.trackers import DvcLive

tracker = DvcLive(Path("live"), 0)
for update in (2, 4):
    tracker.log({"train/total": 1 / update}, update)
tracker.close()
Path("out").write_text("weights")
"""
DVC_FILE = """
stages:
  train:
    cmd: {python} stage.py
    deps: [stage.py]
    outs: [out]
"""
METRICS = "live/dvclive/plots/metrics/train/total.tsv"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "dvc.yaml").write_text(DVC_FILE.format(python=sys.executable))
    (tmp_path / ".gitignore").write_text("/live/\n/out\n")
    run(tmp_path, "git", "init", "-q")
    dvc(tmp_path, "init", "-q")
    run(tmp_path, "git", "add", "-A")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
    run(tmp_path, "git", *identity, "commit", "-qm", "start")
    return tmp_path


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dvc(folder: Path, *arguments: str) -> str:
    return run(folder, sys.executable, "-m", "dvc", *arguments)


def test_dvc_shows_the_figures_and_restores_the_output_from_its_run_cache(project: Path) -> None:
    pytest.importorskip("dvclive")
    dvc(project, "repro")
    shown = json.loads(dvc(project, "plots", "show", METRICS, "--json"))
    (plot,) = shown["data"][METRICS]
    assert [point["total"] for point in plot["content"]["data"]["values"]] == ["0.5", "0.25"]
    assert run(project, "git", "status", "--porcelain").split() == ["??", "dvc.lock"]
    assert run(project, "git", "for-each-ref", "refs/exps") == ""
    (project / "out").unlink()
    (project / "dvc.lock").unlink()
    (project / METRICS).unlink()
    dvc(project, "repro")
    assert (project / "out").read_text() == "weights"
    assert not (project / METRICS).exists(), "restored, not run again"
