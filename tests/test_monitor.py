"""`smhash monitor`: a running stage, cards by a made-up tool of the driver, and its ways to end."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from siglip2_multimodal_hash.cli.monitor import as_text, look

SMI = """#!/bin/sh
echo "NVIDIA H200, 87, 2048, 143771, 64, 512.30"
echo "NVIDIA GB10, 3, [N/A], [N/A], [N/A], [Not Supported]"
"""
RECORD = {"epoch": 3, "lr": 0.1, "train_total": 0.25, "val_mAP": 0.75}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to look at, on a machine without a card."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.fixture
def stage(project: Path) -> Iterator[subprocess.Popen[str]]:
    """A stage of an experiment's copy of that project, in the middle of its work."""
    copy = project / ".dvc/tmp/exps/ablations/wide"
    partial = copy / "outputs/head.partial"
    for folder in (partial, copy / "stages"):
        folder.mkdir(parents=True)
    progress = {"done": "3 epochs", "progress": {"state": {"history": [{}, RECORD]}}}
    (partial / "progress.json").write_text(json.dumps(progress))
    (copy / "stages/train.py").write_text("print(flush=True)\ninput()\n")
    command = [sys.executable, "-m", "stages.train", "--out", "outputs/head", "--live", "live"]
    with subprocess.Popen(
        command,
        cwd=copy,
        env={"DVC_EXP_NAME": "wide"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running


def test_a_running_stage_with_its_last_epoch(project: Path, stage: subprocess.Popen[str]) -> None:
    figures = look(project)
    (found,) = figures["stages"]
    assert (found["stage"], found["experiment"], found["process"]) == ("train", "wide", stage.pid)
    assert (found["done"], found["epoch"]) == ("3 epochs", RECORD)
    assert found["memory"] > 2**20
    assert 0 <= found["seconds"] < time.time() - psutil.boot_time()
    text = as_text(figures)
    assert "stage        train, experiment wide: for" in text
    assert "             3 epochs: train_total 0.2500, val_mAP 0.7500" in text
    (project / ".dvc/tmp/exps/ablations/wide/outputs/head.partial/progress.json").unlink()
    assert look(project)["stages"][0]["done"] == ""
    assert look(project / "other")["stages"] == []


def test_cards_tell_what_they_can(project: Path) -> None:
    tool = project / "bin/nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(SMI)
    tool.chmod(0o755)
    figures = look(project)
    assert figures["cards"] == [
        {
            "name": "NVIDIA H200",
            "utilization": 87,
            "memory_used": 2 * 2**30,
            "memory_total": 143771 * 2**20,
            "temperature": 64,
            "power": 512.3,
        },
        dict.fromkeys(("memory_used", "memory_total", "temperature", "power"))
        | {"name": "NVIDIA GB10", "utilization": 3},
    ]
    text = as_text(figures)
    assert "NVIDIA H200: 2.0 GiB of 140.4 GiB (1%), 87% busy, 64 °C, 512 W" in text
    assert "NVIDIA GB10: memory unknown, 3% busy\n" in text


@pytest.mark.usefixtures("project")
def test_one_look_without_a_card_or_a_terminal(
    smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert smhash("monitor", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["cards"], figures["stages"]) == ([], [])
    assert 0 < figures["memory"]["used"] < figures["memory"]["total"]
    assert smhash("monitor") == 0
    text = capsys.readouterr().out
    assert "none that nvidia-smi lists" in text
    assert text.endswith("none is running here\n")
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.usefixtures("project")
def test_ctrl_c_ends_it_without_a_failure(
    smhash: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if waits.count(7.0) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert smhash("monitor", "--interval", "7") == 0
    said = capsys.readouterr()
    assert said.out.count("main memory") == 2
    assert said.err == ""


@pytest.mark.parametrize("words", [("--interval", "0"), ("--interval", "nan"), ("--interval", "x")])
def test_an_interval_is_a_time(
    smhash: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert smhash("monitor", *words) == 2
    assert "--interval" in capsys.readouterr().err
