"""DVCLive, TensorBoard and W&B follow a fit; the fit is the same with them and without."""

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.training.loop import Checkpoints, FitResult, fit
from siglip2_multimodal_hash.training.trackers import Live, epoch_figures, step_figures
from tests.training.resumable import contents
from tests.training.small_fits import (
    checkpointing,
    interrupted_in,
    small_head,
    small_settings,
    small_training,
    small_validation,
)

UPDATES = 3  # an epoch: 48 images, 16 per batch; three epochs


def tracked_fit(folder: Path, *, every: int = 2, **uses: bool | str) -> FitResult:
    settings = small_settings()
    logs = settings.runtime.logging.model_copy(update={"log_every_n_steps": every, **uses})
    runtime = settings.runtime.model_copy(update={"logging": logs})
    changed = type(settings)(**(vars(settings) | {"runtime": runtime}))
    live = Live(folder / "live", lambda: {"seed": 42, "knn": {"K": 20}})
    checkpoints = Checkpoints(folder / "head", checkpointing(), live)
    return fit(small_head(), small_training(), small_validation(), changed, checkpoints)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVCLive looks for a repository around the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "DVC_STUDIO_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def rows(folder: Path, name: str) -> list[tuple[int, float]]:
    path = folder / "live/dvclive/plots/metrics" / f"{name}.tsv"
    with path.open(newline="") as stream:
        found = list(csv.DictReader(stream, delimiter="\t"))
    return [(int(row["step"]), float(row[Path(name).name])) for row in found]


def test_names_of_figures() -> None:
    assert step_figures({"total": 1.0, "lr": 0.1, "gradient/w": 2.0}) == {
        "train/total": 1.0,
        "lr": 0.1,
        "gradient/w": 2.0,
    }
    record = {"epoch": 2, "lr": 0.1, "train_bce": 0.5, "val_bce": 0.6, "val_mAP": 0.7}
    assert epoch_figures(record) == {
        "epoch": 2,
        "lr": 0.1,
        "epoch_train/bce": 0.5,
        "val/bce": 0.6,
        "val/mAP": 0.7,
    }


def test_dvclive_writes_what_dvc_plots_reads_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("dvclive")
    plain = tmp_path / "plain"
    tracked_fit(plain)
    history = tracked_fit(tmp_path, use_dvclive=True).history
    assert contents(tmp_path / "head") == contents(plain / "head")
    assert [step for step, _ in rows(tmp_path, "train/total")] == [2, 4, 6, 8]
    assert dict(rows(tmp_path, "val/mAP")) == pytest.approx(
        {UPDATES * record["epoch"]: record["val_mAP"] for record in history}
    )
    summary = json.loads((tmp_path / "live/dvclive/metrics.json").read_text())
    assert summary["val"]["mAP"] == pytest.approx(history[-1]["val_mAP"])
    assert not list(tmp_path.rglob("dvc.yaml"))
    assert {path.name for path in tmp_path.iterdir()} == {"plain", "head", "live"}


def test_a_continued_fit_logs_each_update_once(tmp_path: Path) -> None:
    pytest.importorskip("dvclive")
    with interrupted_in(3):  # after the eighth update was logged
        tracked_fit(tmp_path, use_dvclive=True)
    assert [step for step, _ in rows(tmp_path, "train/bce")] == [2, 4, 6, 8]
    tracked_fit(tmp_path, use_dvclive=True)
    assert [step for step, _ in rows(tmp_path, "train/bce")] == [2, 4, 6, 8]
    assert [step for step, _ in rows(tmp_path, "val/mAP")] == [3, 6, 9]
    # A new fit begins a new record; DVC removes the old output.
    shutil.rmtree(tmp_path / "head")
    tracked_fit(tmp_path, every=4, use_dvclive=True)
    assert [step for step, _ in rows(tmp_path, "train/bce")] == [4, 8]


def test_what_dvclive_did_not_make_is_not_removed(tmp_path: Path) -> None:
    pytest.importorskip("dvclive")
    mine = tmp_path / "live/dvclive/report/thesis.html"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(InputError, match="live/dvclive: a folder is there"):
        tracked_fit(tmp_path, use_dvclive=True)
    assert mine.exists()


def scalars(folder: Path, name: str) -> list[int]:
    """Updates at which a run of TensorBoard has a figure."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars(name)]


def test_tensorboard_gets_a_run_for_each_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    runs = tmp_path / "live/tensorboard"
    with interrupted_in(3):
        tracked_fit(tmp_path, use_tensorboard=True)
    tracked_fit(tmp_path, use_tensorboard=True)  # goes on in the same run
    assert scalars(runs / "fit-1", "val/mAP") == [3, 6, 9]
    assert scalars(runs / "fit-1", "train/total") == [2, 4, 6, 8]
    for name in (None, "wide"):
        shutil.rmtree(tmp_path / "head")
        if name:
            monkeypatch.setenv("DVC_EXP_NAME", name)
        tracked_fit(tmp_path, every=4, use_tensorboard=True)
    assert {run.name for run in runs.iterdir()} == {"fit-1", "fit-2", "wide-1"}
    assert scalars(runs / "fit-2", "train/total") == scalars(runs / "wide-1", "train/total")
    assert scalars(runs / "fit-1", "train/total") == [2, 4, 6, 8]


def test_weights_and_biases_gets_all_parameters_and_the_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("DVC_EXP_NAME", "wide")
    started = []
    original = wandb.init

    def init(**arguments: Any) -> Any:
        started.append(arguments)
        return original(**arguments)

    monkeypatch.setattr(wandb, "init", init)
    tracked_fit(tmp_path, use_wandb=True, wandb_project="hashing", wandb_entity="")
    assert list((tmp_path / "live/wandb").glob("offline-run-*/run-*.wandb"))
    (run,) = started
    assert (run["project"], run["entity"], run["name"]) == ("hashing", None, "wide")
    assert run["config"]["knn"] == {"K": 20}
    assert run["config"]["head"]["bits"] == small_head().bits


@pytest.mark.parametrize("packages", [["dvclive"], ["tensorboard"], ["wandb", "dvclive"]])
def test_missing_packages_are_named_at_once_with_the_remedy(
    packages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError) as caught:
        tracked_fit(tmp_path, **{f"use_{package}": True for package in packages})
    for package in packages:
        named = f"runtime.logging.use_{package} = true: the package {package} is not installed"
        assert named in str(caught.value)
    assert str(caught.value).count("pip install") == 1
    assert not (tmp_path / "head").exists()


def test_a_tracker_that_cannot_write_does_not_end_the_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = pytest.importorskip("dvclive")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(live.Live, "log_metric", full)
    assert len(tracked_fit(tmp_path, use_dvclive=True).history) == 3
    warnings = [r.getMessage() for r in caplog.records if "switched off" in r.getMessage()]
    assert warnings == ["DvcLive is switched off: [Errno 28] No space left on device"]
