"""`smhash table` prints either split."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from siglip2_multimodal_hash import cli
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.reporting.tables import detail_files
from tests.reporting.test_metric_tables import head, predictor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def details(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of parameters alone; where its figures belong."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    params = load_params()
    return tmp_path / "outputs" / params.dataset.name / params.backbone.name / "details"


def smhash_table(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["smhash", "table", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "fused", "linear"),
    [
        ((), "60.0 | 70.0 | 80.0 |  | 20.0", " | 40.0 |  |  | "),
        (("--split", "test"), "60.0 | 70.0 | 80.0 |  | 20.0", " | 40.0 |  |  | "),
        (("--split", "val"), "61.0 | 71.0 | 81.0 |  | 20.0", " | 41.0 |  |  | "),
    ],
)
def test_the_table_of_a_split(
    details: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    fused: str,
    linear: str,
) -> None:
    fit = {"best_epoch": 7, "head": {"modalities": "both"}}
    baselines = {"logistic_regression": predictor(0.4, fixed=0.5)}
    details.mkdir(parents=True)
    for name, found in detail_files(head(0.6), baselines, fit).items():
        (details / f"{name}.json").write_text(json.dumps(found))
    assert smhash_table(monkeypatch, *arguments) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows[:2] == [f"| fused | {fused} |", f"| logistic-regression | {linear} |"]
    assert rows[2].startswith("| chance |")


@pytest.mark.parametrize(("split", "file"), [("test", "baselines"), ("val", "details")])
def test_without_metrics_it_says_what_to_run(
    details: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    split: str,
    file: str,
) -> None:
    assert not details.exists()
    assert smhash_table(monkeypatch, "--split", split) == 2
    message = capsys.readouterr().err
    assert f"{file}.json: no such file" in message
    assert "dvc repro" in message


def test_there_is_no_table_of_train(details: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not details.exists()
    assert smhash_table(monkeypatch, "--split", "train") == 2
