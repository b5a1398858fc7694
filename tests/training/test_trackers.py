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
from siglip2_multimodal_hash.training.trackers import epoch_figures, step_figures
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


def tracked_fit(folder: Path, *, every: int = 2, **uses: bool) -> FitResult:
    settings = small_settings()
    logs = settings.runtime.logging.model_copy(update={"log_every_n_steps": every, **uses})
    runtime = settings.runtime.model_copy(update={"logging": logs})
    changed = type(settings)(**(vars(settings) | {"runtime": runtime}))
    checkpoints = Checkpoints(folder / "head", checkpointing(), folder / "live")
    return fit(small_head(), small_training(), small_validation(), changed, checkpoints)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVCLive looks for a repository around the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_BASELINE_REV", "DVC_STUDIO_TOKEN"):
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


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    tracked_fit(tmp_path, use_tensorboard=True)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "live/tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("val/mAP")] == [3, 6, 9]
    assert [event.step for event in events.Scalars("train/total")] == [2, 4, 6, 8]


def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    tracked_fit(tmp_path, use_wandb=True)
    assert list((tmp_path / "live/wandb").glob("offline-run-*/run-*.wandb"))


@pytest.mark.parametrize("package", ["dvclive", "tensorboard", "wandb"])
def test_a_missing_package_is_named_with_its_remedy(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        InputError,
        match=rf"^runtime\.logging\.use_{package} = true: .* {package} is not .*\n.*\[tracking",
    ):
        tracked_fit(tmp_path, **{f"use_{package}": True})
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
