"""DVC's queue of experiments: its tasks, the processes that run them, its workers."""

import contextlib
import os
import signal
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from siglip2_multimodal_hash.ablations.commands import dvc, run_logged
from siglip2_multimodal_hash.ablations.repository import Repository
from siglip2_multimodal_hash.ablations.run import LOGS, why_failed
from siglip2_multimodal_hash.errors import InputError

if TYPE_CHECKING:
    from dvc.repo.experiments.queue.celery import LocalCeleryQueue

WAITING, RUNNING = "Queued", "Running"
COPIES = Path(".dvc/tmp/exps")
_WORKERS = COPIES / "celery"
# The command that a worker runs an experiment with.
_RUNS_ONE = "exec-run"


@dataclass(frozen=True)
class Task:
    """An experiment in the queue.

    Attributes:
        state: ``Queued``, ``Running``, ``Failed`` or ``Success``. One whose worker was killed is
            said to run for ever.
        process: The number of the process that runs it; None before it starts and after it ends,
            while the worker prepares and clears up.
    """

    state: str
    process: int | None = None


def tasks(folder: Path, names: Collection[str] | None = None) -> dict[str, Task]:
    """What DVC's queue says of some experiments, or of all.

    The last of a name counts, for a queue remembers earlier ones that failed.
    """
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        queue: LocalCeleryQueue = repo.experiments.celery_queue
        found: dict[str, Task] = {}
        # In this order, one that passes on meanwhile is not missed.
        for state, entries in (
            ("Failed", (done.entry for done in queue.iter_failed())),
            ("Success", (done.entry for done in queue.iter_success())),
            (WAITING, queue.iter_queued()),
            (RUNNING, queue.iter_active()),
        ):
            for entry in entries:
                name = entry.name or entry.stash_rev
                if names is None or name in names:
                    process = _process(queue, entry.stash_rev) if state == RUNNING else None
                    found[name] = Task(state, process)
        return found


def _process(queue: "LocalCeleryQueue", revision: str) -> int | None:
    try:
        number: int = queue.proc[revision].pid
        return number if _RUNS_ONE in psutil.Process(number).cmdline() else None
    except (KeyError, psutil.Error):
        return None  # not started, or ended; its number may be another's by now


def interrupt(process: int) -> None:
    """Do what Ctrl-C does, to a process and what it started, not to all of its group.

    DVC's workers are in it, which ``dvc queue kill`` interrupts with it: at the second time they
    leave at once, without clearing up.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process)
        for one in (*parent.children(recursive=True), parent):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGINT)


def workers_alive(folder: Path) -> bool:
    """Whether a worker of DVC's queue runs."""
    files = (folder / _WORKERS).glob("dvc-exp-worker-*.pid")
    return any(_is_alive(file.read_text(encoding="utf-8")) for file in files)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, PermissionError, ValueError):
        return False  # none, one of somebody else, or a file just begun
    return True


def call(repository: Repository, *words: str | int) -> None:
    """Run ``dvc queue WORDS``.

    Raises:
        InputError: It fails.
    """
    log = repository.folder / LOGS / "queue.log"
    command = dvc("queue", *map(str, words))
    if run_logged(command, log, repository.folder):
        raise InputError(f"`{' '.join(command[2:])}` failed: {why_failed(log)}")
