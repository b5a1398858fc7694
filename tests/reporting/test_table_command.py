"""`smhash table` prints either split."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

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
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    fused: str,
    linear: str,
) -> None:
    fit = {"best_epoch": 7, "head": {"modalities": "both"}}
    baselines = {"logistic_regression": predictor(0.4, fixed=0.5)}
    details.mkdir(parents=True)
    for name, found in detail_files(head(0.6), baselines, fit, {}).items():
        (details / f"{name}.json").write_text(json.dumps(found))
    assert smhash("table", *arguments) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows[:2] == [f"| fused | {fused} |", f"| logistic-regression | {linear} |"]
    assert rows[2].startswith("| chance |")


@pytest.mark.parametrize(("split", "file"), [("test", "baselines"), ("val", "details")])
def test_without_metrics_it_says_what_to_run(
    details: Path,
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    split: str,
    file: str,
) -> None:
    assert not details.exists()
    assert smhash("table", "--split", split) == 2
    message = capsys.readouterr().err
    assert f"{file}.json: no such file" in message
    assert "dvc repro" in message


def test_there_is_no_table_of_train(details: Path, smhash: Callable[..., int]) -> None:
    assert not details.exists()
    assert smhash("table", "--split", "train") == 2
