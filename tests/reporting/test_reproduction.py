"""The figures of this machine against those of the last commit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.small_repository import ROOT, run
from tests.pipeline.repositories import init_dvc

PARAMS = (ROOT / "params.yaml").read_text(encoding="utf-8")
PIPELINE = """\
stages:
  evaluate:
    cmd: python nothing.py
    params: [seed]
    outs:
      - metrics/mojicoco/siglip2-tiny/figures.json: {cache: false}
"""
FIGURES = "metrics/mojicoco/siglip2-tiny/figures.json"
SUMMARY: dict[str, Any] = {
    "test": {"knn": {"mAP": 0.746}, "mlp": {"mAP": 0.827}},
    "train": {"best_epoch": 14},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose last commit has figures, and the working folder of the test."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    write(tmp_path)
    run(tmp_path, "git", "init", "-q")
    init_dvc(tmp_path)
    run(tmp_path, "git", "add", "-A")
    run(tmp_path, "git", "commit", "-qm", "figures")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, summary: dict[str, Any] = SUMMARY) -> None:
    (folder / FIGURES).parent.mkdir(parents=True, exist_ok=True)
    (folder / FIGURES).write_text(json.dumps(summary))


def with_knn(value: object) -> dict[str, Any]:
    return SUMMARY | {"test": SUMMARY["test"] | {"knn": {"mAP": value}}}


def test_the_same_figures_are_reproduced(
    project: Path, smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert smhash("verify") == 0
    said = capsys.readouterr().out
    assert said.startswith("reproduced: 2 figures, largest difference 0.00 points")


def test_the_largest_difference_is_named(
    project: Path, smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, with_knn(0.7392))
    assert smhash("verify") == 0
    assert "0.68 points (test.knn.mAP), allowed 1.5" in capsys.readouterr().out


def test_a_figure_that_is_off_is_named_and_fails(
    project: Path, smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, with_knn(0.786))
    assert smhash("verify") == 1
    said = capsys.readouterr().out
    assert "| test.knn.mAP | 78.6 | 74.6 | 4.0 |" in said
    assert "mlp" not in said


def test_another_best_epoch_is_not_a_figure(project: Path, smhash: Callable[..., int]) -> None:
    write(project, SUMMARY | {"train": {"best_epoch": 3}})
    assert smhash("verify") == 0


def test_other_parameters_are_not_compared(
    project: Path, smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "params.yaml").write_text(PARAMS.replace("seed: 42", "seed: 2"))
    assert smhash("verify") == 2
    assert "params.yaml differs from the last commit (seed)" in capsys.readouterr().err


def test_the_machine_s_own_parameters_may_be_others(
    project: Path, smhash: Callable[..., int]
) -> None:
    text = PARAMS.replace("dataset_root: ''", "dataset_root: /elsewhere")
    assert text != PARAMS
    (project / "params.yaml").write_text(text)
    assert smhash("verify") == 0


def test_missing_figures_are_not_taken_for_equal(
    project: Path, smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (project / FIGURES).unlink()
    assert smhash("verify") == 2
    said = capsys.readouterr().err
    assert "this folder does not have it" in said
    assert "`make repro`" in said


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.746", [0.746]])
def test_what_is_no_number_is_not_taken_for_equal(
    project: Path, smhash: Callable[..., int], capsys: pytest.CaptureFixture[str], value: object
) -> None:
    write(project, with_knn(value))
    assert smhash("verify") == 2
    assert "test.knn.mAP: " in capsys.readouterr().err


def test_a_folder_without_a_repository_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert smhash("verify") == 2
    assert "work in a clone of the project" in capsys.readouterr().err
