"""A killed fit goes on from its last whole epoch, to the bytes of a fit without a break."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from siglip2_multimodal_hash.errors import EXIT_INTERRUPTED, DataError
from siglip2_multimodal_hash.resume import locked
from siglip2_multimodal_hash.training import loop, progress
from tests.training.resumable import EPOCHS, contents, resumable_fit
from tests.training.small_fits import interrupted_in

ROOT = Path(__file__).resolve().parents[2]
RECORD = "resume:Unfinished.record"
FINISH = "training.checkpoint:CheckpointWriter.finish"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "head"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    resumable_fit(folder)
    torch.set_num_threads(threads)
    return contents(folder)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "head"


@pytest.fixture
def start(out: Path) -> Start:
    """The same fit in a process of its own; see :mod:`.fit_child`."""

    def run(*moment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.training.fit_child", out, *moment],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


@pytest.fixture
def epochs(caplog: pytest.LogCaptureFixture) -> Callable[[], list[int]]:
    """The epochs whose figures the log has told since it was cleared."""
    caplog.set_level(logging.DEBUG)
    told = progress.__name__

    def computed() -> list[int]:
        lines = "\n".join(one.getMessage() for one in caplog.records if one.name == told)
        return [int(epoch) for epoch in re.findall(r"^epoch (\d+)/\d+: ", lines, re.M)]

    return computed


def partial(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def interrupted_after(epoch: int, out: Path, **sections: Any) -> None:
    """Leave a fit of that many whole epochs."""
    with interrupted_in(epoch + 1):
        resumable_fit(out, **sections)


@pytest.mark.parametrize("monitor", ["mlp", "knn"])
@pytest.mark.parametrize("alignment", ["sigmoid", "infonce"])
def test_a_learned_temperature_goes_on_from_where_it_was(
    alignment: str,
    monitor: str,
    out: Path,
    epochs: Callable[[], list[int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    sections: dict[str, Any] = {
        "loss": {"alignment": alignment, "learn_temperature": True, "temperature": 0.5},
        "training": {"monitor": monitor},
        "knn": {"K": 5},
    }
    resumable_fit(out.with_name("whole"), **sections)
    interrupted_after(3, out, **sections)
    caplog.clear()
    result = resumable_fit(out, **sections)
    assert epochs() == [4, 5, 6]
    assert contents(out) == contents(out.with_name("whole"))
    temperatures = [record["temperature"] for record in result.history]
    assert len(set(temperatures)) == EPOCHS
    assert not any("scale" in name for name in result.network.state_dict() if "fusion" not in name)


@pytest.mark.parametrize(
    ("method", "call", "when", "done"),
    [
        # In the third epoch, of three updates each.
        pytest.param("training.epoch:EpochTrainer._step", 8, "after", 2, marks=pytest.mark.slow),
        pytest.param(RECORD, 3, "after", 3, marks=pytest.mark.slow),
        (RECORD, 4, "before", 3),  # the state is there, its progress is not
        # One state too many.
        pytest.param("resume:remove", 1, "before", 2, marks=pytest.mark.slow),
        pytest.param(FINISH, 1, "after", EPOCHS, marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_moment_it_goes_on_from_there(
    whole: dict[str, bytes],
    start: Start,
    out: Path,
    epochs: Callable[[], list[int]],
    caplog: pytest.LogCaptureFixture,
    method: str,
    call: int,
    when: str,
    done: int,
) -> None:
    child = start("SIGKILL", method, str(call), when)
    child.communicate(timeout=120)
    assert child.returncode == -signal.SIGKILL
    assert not out.exists()
    caplog.set_level(logging.DEBUG)
    resumable_fit(out)
    assert contents(out) == whole
    assert epochs() == list(range(done + 1, EPOCHS + 1))
    assert re.findall(r"found (\d+) epochs? in", caplog.text) == [str(done)]
    assert [path.name for path in out.parent.iterdir()] == ["head"]


@pytest.mark.parametrize(("epoch", "again"), [(1, True), (2, False), (4, False)])
def test_a_closed_form_is_solved_anew_until_an_epoch_is_done(
    epoch: int, again: bool, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sections: dict[str, Any] = {"training": {"val_every_n_epochs": 2}}
    resumable_fit(out.with_name("whole"), closed_form=True, **sections)
    caplog.set_level(logging.DEBUG)
    with interrupted_in(epoch):
        resumable_fit(out, closed_form=True, **sections)
    caplog.clear()
    resumable_fit(out, closed_form=True, **sections)
    assert ("closed form: " in caplog.text) is again
    assert contents(out) == contents(out.with_name("whole"))
    assert json.loads((out / "history.json").read_text())[0]["epoch"] == 0


def test_killed_in_the_first_epoch_it_begins_anew(
    whole: dict[str, bytes], start: Start, out: Path, epochs: Callable[[], list[int]]
) -> None:
    start("SIGKILL", "training.epoch:EpochTrainer._step", "2", "after").communicate(timeout=120)
    assert partial(out).is_dir()
    resumable_fit(out)
    assert contents(out) == whole
    assert epochs() == list(range(1, EPOCHS + 1))


def test_ctrl_c_says_what_it_keeps(
    whole: dict[str, bytes], start: Start, out: Path, epochs: Callable[[], list[int]]
) -> None:
    child = start("SIGINT", "training.epoch:EpochTrainer._step", "10", "after")
    _, log = child.communicate(timeout=120)
    assert child.returncode == EXIT_INTERRUPTED
    assert "interrupted: kept 3 epochs in" in log
    assert "rerun to resume" in log
    assert "Traceback" not in log
    assert not out.exists()
    resumable_fit(out)
    assert contents(out) == whole
    assert epochs() == [4, 5, 6]


def test_patience_is_counted_across_the_break(
    out: Path, monkeypatch: pytest.MonkeyPatch, epochs: Callable[[], list[int]]
) -> None:
    scores = {1: 0.5, 2: 0.6, 3: 0.55, 4: 0.4, 5: 0.9, 6: 0.9}
    calls: list[int] = []

    def scripted(*_: Any, place: str, **__: Any) -> Any:
        epoch = int(place.removeprefix("epoch ").partition("/")[0])
        calls.append(epoch)
        if calls == [1, 2, 3, 4]:
            raise KeyboardInterrupt
        return {"total": 1.0}, {"mAP": scores[epoch]}

    monkeypatch.setattr(loop, "validate", scripted)
    patience: dict[str, Any] = {"training": {"early_stopping_patience": 2}}
    with pytest.raises(KeyboardInterrupt):
        resumable_fit(out, **patience)
    result = resumable_fit(out, **patience)
    assert epochs() == [1, 2, 3, 4]
    assert (result.best_epoch, result.val_map, len(result.history)) == (2, 0.6, 4)
    assert json.loads((out / "config.json").read_text())["best_epoch"] == 2


@pytest.mark.parametrize(
    "damage", ["state", "checkpoint", "truncated", "missing", "progress", "a digit"]
)
def test_a_damaged_state_is_thrown_away_with_a_warning(
    damage: str,
    whole: dict[str, bytes],
    out: Path,
    epochs: Callable[[], list[int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    interrupted_after(3, out)
    state, progress = partial(out) / "state-03.safetensors", partial(out) / "progress.json"
    if damage == "state":
        content = bytearray(state.read_bytes())
        content[-5] ^= 1
        state.write_bytes(content)
    elif damage == "checkpoint":
        next((partial(out) / "head").glob("epoch=*-val*")).write_bytes(b"?")
    elif damage == "truncated":
        state.write_bytes(state.read_bytes()[:-100])
    elif damage == "missing":
        state.unlink()
    elif damage == "progress":
        progress.write_text(progress.read_text()[:-20])
    else:
        progress.write_text(progress.read_text().replace('"epoch": 2', '"epoch": 1'))
    caplog.clear()
    resumable_fit(out)
    assert " is discarded: " in caplog.text
    assert epochs() == list(range(1, EPOCHS + 1))
    assert contents(out) == whole


def test_another_parameter_begins_anew_and_is_named(
    out: Path,
    epochs: Callable[[], list[int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    interrupted_after(2, out)
    caplog.clear()
    resumable_fit(out, optimizer={"lr": 0.02})
    assert "discarded: it was made with another optimizer.lr\n" in caplog.text
    assert epochs() == list(range(1, EPOCHS + 1))


def test_two_processes_do_not_share_a_folder(out: Path) -> None:
    with locked(out), pytest.raises(DataError, match="another process is writing there"):
        resumable_fit(out)


FULL_DISK = """
mount -t tmpfs -o size={size}k none {disk}
{child} {disk}/head; echo $?; find {disk} -name 'state-*' -printf '%f\\n'
cp -r {disk} {copy}
"""


# 96k: the last state is written, and there is no room for its progress.
@pytest.mark.parametrize("size", [pytest.param(64, marks=pytest.mark.slow), 96])
def test_a_full_disk_loses_no_whole_epoch(
    size: int, whole: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    child = f"{sys.executable} -m tests.training.fit_child"
    script = FULL_DISK.format(size=size, disk=disk, copy=copy, child=child)
    try:
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", script],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    except FileNotFoundError:
        pytest.skip("no `unshare` here")
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("no small disk can be mounted here")
    code, *states = done.stdout.split()
    assert code == "2", done.stderr
    assert "head.partial: cannot be written (No space left on device)\n  -> free" in done.stderr
    assert "Traceback" not in done.stderr
    (state,) = states
    caplog.set_level(logging.DEBUG)
    resumable_fit(copy / "head")  # where there is room
    assert f"found {int(state[6:8])} epoch" in caplog.text
    assert contents(copy / "head") == whole
