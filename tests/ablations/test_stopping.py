"""Taking experiments off DVC's queue, with a queue that is told what to do."""

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from siglip2_multimodal_hash.ablations import stopping
from siglip2_multimodal_hash.ablations.dvc_queue import Task, interrupt
from siglip2_multimodal_hash.errors import InputError
from tests.signalling import wait_for

A, B = 1, 2


class Queue:
    """Tasks that a command or enough interrupts change; a clock that sleeping moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tasks: dict[str, Task]) -> None:
        self.now, self.said = 0.0, list[tuple[float, str]]()
        self.tasks, self.workers, self.interrupts = tasks, True, {A: 1.0, B: 1.0}
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep)
        monkeypatch.setattr(stopping, "time", clock)
        monkeypatch.setattr(stopping, "tasks", self._tasks)
        monkeypatch.setattr(stopping, "workers_alive", lambda _: self.workers)
        monkeypatch.setattr(stopping, "call", self._call)
        monkeypatch.setattr(stopping, "interrupt", self._interrupt)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _tasks(self, _: Path, names: Any = None) -> dict[str, Task]:
        return {one: task for one, task in self.tasks.items() if names is None or one in names}

    def _call(self, _: Any, command: str, *names: str) -> None:
        self.said.append((self.now, " ".join((command, *names))))
        for name in names:
            if command == "remove":
                del self.tasks[name]
            else:
                self.tasks[name] = Task("Failed")

    def _interrupt(self, process: int) -> None:
        self.said.append((self.now, f"interrupt {process}"))
        self.interrupts[process] -= 1
        if self.interrupts[process] == 0:
            (name,) = (one for one, task in self.tasks.items() if task.process == process)
            self.tasks[name] = Task("Failed")


def repository(folder: Path) -> Any:
    return cast(Any, SimpleNamespace(folder=folder))


NAMES = ["a", "b", "waits", "done", "new"]


def some_tasks() -> dict[str, Task]:
    return {
        "a": Task("Running", A),
        "b": Task("Running", B),
        "waits": Task("Queued"),
        "done": Task("Success"),
        "of another": Task("Running", 3),
    }


def test_what_waits_leaves_the_queue_before_what_runs_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    queue = Queue(monkeypatch, some_tasks())
    stopping.withdraw(repository(tmp_path), NAMES)
    assert queue.said == [(0, "remove waits"), (0, "interrupt 1"), (0, "interrupt 2")]
    assert queue.tasks["of another"].state == "Running"


def test_what_loses_an_interrupt_is_interrupted_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    queue = Queue(monkeypatch, some_tasks())
    queue.interrupts[B] = 2
    stopping.withdraw(repository(tmp_path), NAMES)
    assert queue.said[2:] == [(0, "interrupt 2"), (11, "interrupt 2")]


def test_one_that_is_being_prepared_is_interrupted_when_it_has_a_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    queue = Queue(monkeypatch, {"a": Task("Running")})

    def sleep(seconds: float) -> None:
        queue.now += seconds
        if queue.now == 3:
            queue.tasks["a"] = Task("Running", A)

    monkeypatch.setattr(stopping.time, "sleep", sleep)
    stopping.withdraw(repository(tmp_path), NAMES)
    assert queue.said == [(3, "interrupt 1")]


def test_one_that_nothing_runs_any_more_is_marked_as_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    queue = Queue(monkeypatch, {"a": Task("Running")})
    queue.workers = False
    stopping.withdraw(repository(tmp_path), NAMES)
    assert queue.said == [(0, "kill a")]


def test_what_never_stops_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue(monkeypatch, some_tasks())
    queue.interrupts[B] = math.inf
    stopping.withdraw(repository(tmp_path), NAMES)
    assert queue.said.count((88, "interrupt 2")) == 1
    assert caplog.messages == ["b: cannot be stopped; try `dvc queue kill --force b`"]


def test_earlier_tasks_are_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    queue = Queue(monkeypatch, some_tasks())
    stopping.forget(repository(tmp_path), ["done", "waits", "new"])
    assert queue.said == [(0, "remove waits done")]


def test_one_that_runs_is_not_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    queue = Queue(monkeypatch, some_tasks())
    with pytest.raises(InputError, match="a, b: already running in DVC's queue"):
        stopping.forget(repository(tmp_path), NAMES)
    assert queue.said == []


@pytest.mark.parametrize(("workers", "process"), [(True, None), (False, 3)])
def test_copies_stay_while_anything_may_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: bool, process: int | None
) -> None:
    queue = Queue(monkeypatch, {"of another": Task("Running", process)})
    queue.workers = workers
    copy = tmp_path / ".dvc/tmp/exps/tmp1234"
    copy.mkdir(parents=True)
    stopping.forget(repository(tmp_path), ["a"])
    assert queue.said == []
    assert copy.is_dir()


def test_after_a_crash_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    queue = Queue(monkeypatch, {"a": Task("Running"), "b": Task("Running")})
    queue.workers = False
    exps = tmp_path / ".dvc/tmp/exps"
    for name in ("tmp1234/outputs", "celery", "standalone/tmp5678"):
        (exps / name).mkdir(parents=True)
    stopping.forget(repository(tmp_path), ["a"])
    assert queue.said == [(0, "kill a b"), (0, "remove a")]
    assert queue.tasks == {"b": Task("Failed")}
    assert {path.name for path in exps.iterdir()} == {"celery", "standalone"}
    assert (exps / "standalone/tmp5678").is_dir()


# Starts another like itself, unless it is told not to; each tells of its interrupt. What started
# the tests may ignore Ctrl-C, as a shell does for what runs in the background.
PROGRAM = """\
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
name = sys.argv[1]
try:
    child = subprocess.Popen([sys.executable, __file__, "child"]) if name == "parent" else None
    open(name, "w").close()
    time.sleep(60)
except KeyboardInterrupt:
    open(f"{name} interrupted", "w").close()
    if child:
        child.wait()
"""


def test_a_process_is_interrupted_with_what_it_started_and_without_its_group(
    tmp_path: Path,
) -> None:
    """This test is of the group, and would end."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(script), "parent"], cwd=tmp_path)
    for name in ("parent", "child"):
        wait_for(tmp_path / name, process)
    assert os.getpgid(process.pid) == os.getpgid(0)
    interrupt(process.pid)
    assert process.wait(60) == 0
    assert (tmp_path / "parent interrupted").exists()
    assert (tmp_path / "child interrupted").exists()
    interrupt(process.pid)  # nothing is there any more
