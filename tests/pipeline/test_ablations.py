"""Rows of ablations through the real pipeline and DVC, on a small mojicoco."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from siglip2_multimodal_hash.experiments.plan import Plan
from siglip2_multimodal_hash.experiments.repository import Repository
from siglip2_multimodal_hash.experiments.rows import load_rows
from tests.experiments.small_repository import smhash
from tests.pipeline.conftest import ROOT, small_params
from tests.pipeline.repositories import damaged_objects, environment, new_repository, run_in

ROWS = """\
rows:
  C4:
    tier: tier3
    about: tau
    question: How sharp?
    reference: "0.07"
    seeds: 1
    variants:
      "0.03": {knn.tau: 0.03}
      # Passes the rules of params.yaml; the stage finds no such folder.
      broken: {backbone.checkpoint: models/none}
      "0.2": {knn.tau: 0.2}
      "0.07": {knn.tau: 0.07}
"""
HUNDRED_SECONDS = 1000


def committed(folder: Path, **more: object) -> Path:
    """A repository with a finished run of a small dataset."""
    new_repository(folder, small_params(**more))
    result = run_in(folder, "dvc", "repro")
    assert result.returncode == 0, result.stdout + result.stderr
    for command in ("git add -A", "git commit -qm run"):
        assert run_in(folder, *command.split()).returncode == 0
    return folder


def names(folder: Path) -> dict[str, str]:
    return {name: same[0].commit for name, same in Repository(folder).experiments().items()}


@pytest.mark.slow
def test_a_row_with_a_broken_variant_killed_midway_completes_with_nothing_run_twice(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    committed(folder)
    (folder / "configs/ablations.yaml").write_text(ROWS)
    assert run_in(folder, "git", "commit", "-qam", "rows").returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "siglip2_multimodal_hash.cli", "ablate", "C4"],
        cwd=folder,
        env=environment() | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.DEVNULL,
    )
    # The second experiment has begun; the kill hits this command, not what it started.
    for _ in range(HUNDRED_SECONDS * 3):
        if (folder / "live/ablations/C4-tau-broken-s0.log").exists():
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first = names(folder)
    assert "C4-tau-0.03-s0" in first
    assert run_in(folder, "git", "status", "--porcelain").stdout == ""

    for _ in range(HUNDRED_SECONDS):
        resumed = smhash(folder, "ablate", "C4")
        if resumed.returncode != 2:
            break
        assert "an experiment that a killed one left" in resumed.stderr
        time.sleep(1)
    assert resumed.returncode == 1, resumed.stdout + resumed.stderr
    assert "FAILED C4-tau-broken-s0: " in resumed.stderr
    assert "models/none" in resumed.stderr
    found = names(folder)
    assert set(found) == {"C4-tau-0.03-s0", "C4-tau-0.2-s0", "default-s0"}
    assert found["C4-tau-0.03-s0"] == first["C4-tau-0.03-s0"]
    assert run_in(folder, "git", "status", "--porcelain").stdout == ""

    table = smhash(folder, "table", "C4", "--draws", "100")
    assert table.returncode == 0, table.stderr
    assert "| 0.2 | 1 | " in table.stdout
    assert "Not run yet: C4-tau-broken-s0" in table.stdout


@pytest.mark.slow
def test_every_row_runs(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    committed(folder, training__num_epochs=2, scheduler__warmup_epochs=1, tune__epochs=1)
    result = smhash(folder, "ablate", "all", "--seeds", "1", "--jobs", "2")
    assert result.returncode == 0, result.stdout + result.stderr
    base = YAML(typ="safe", pure=True).load((folder / "params.yaml").read_text())
    plan = Plan(load_rows(folder / "configs/ablations.yaml"), base)
    planned = {one.name for one in plan.experiments(list(plan.rows), 1)}
    assert set(names(folder)) == planned
    table = smhash(folder, "table", "all", "--seeds", "1", "--draws", "100")
    assert table.returncode == 0, table.stderr
    for name in plan.rows:
        assert f"### {name}: " in table.stdout
    assert "Not run yet" not in table.stdout
    assert damaged_objects(folder) == []
