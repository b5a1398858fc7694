"""Take experiments off DVC's queue, whatever they are doing there, and leave nothing behind."""

import contextlib
import logging
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from siglip2_multimodal_hash.ablations.dvc_queue import (
    COPIES,
    RUNNING,
    WAITING,
    call,
    interrupt,
    tasks,
    workers_alive,
)
from siglip2_multimodal_hash.ablations.repository import Repository
from siglip2_multimodal_hash.errors import InputError

logger = logging.getLogger(__name__)

_PAUSE = 1.0
# Seconds after which an interrupt counts as lost, and after which a queue is given up.
_LOST_AFTER = 10.0
_GIVEN_UP_AFTER = 90.0


def forget(repository: Repository, names: Sequence[str]) -> None:
    """Take earlier tasks of these names off the queue.

    Those that are said to run, though nothing runs them any more, too.

    Raises:
        InputError: One of them runs.
    """
    folder = repository.folder
    found = tasks(folder)
    running = [name for name, task in found.items() if task.state == RUNNING]
    if not workers_alive(folder) and not any(found[name].process for name in running):
        if running:
            call(repository, "kill", *running)
            running = []
        _remove_copies(folder)
    running = [name for name in running if name in names]
    if running:
        raise InputError(
            f"{', '.join(running)}: already running in DVC's queue",
            "wait for it, or `dvc queue kill` it",
        )
    earlier = [name for name in found if name in names]
    if earlier:
        call(repository, "remove", *earlier)


def _remove_copies(folder: Path) -> None:
    """Those of experiments whose worker was killed, which would have removed them."""
    for copy in (folder / COPIES).glob("tmp*"):
        shutil.rmtree(copy, ignore_errors=True)


def withdraw(repository: Repository, names: Sequence[str]) -> None:
    """Stop what runs of these, take what waits off the queue, and wait until nothing is left.

    DVC may lose an interrupt that comes while it prepares an experiment, and then runs it to its
    end; so what does not stop is interrupted again.
    """
    begun = time.monotonic()
    interrupted: dict[str, float] = {}
    while left := {
        name: task
        for name, task in tasks(repository.folder, names).items()
        if task.state in (WAITING, RUNNING)
    }:
        now = time.monotonic()
        if now - begun > _GIVEN_UP_AFTER:
            shown = " ".join(left)
            logger.warning("%s: cannot be stopped; try `dvc queue kill --force %s`", shown, shown)
            return
        waiting = [name for name, task in left.items() if task.state == WAITING]
        running = [name for name, task in left.items() if task.state == RUNNING]
        if waiting:
            _try(repository, "remove", waiting)
        for name in running:
            process = left[name].process
            if process and now - interrupted.get(name, -math.inf) > _LOST_AFTER:
                interrupt(process)
                interrupted[name] = now
        if running and not workers_alive(repository.folder):
            # Marks those as failed that nothing runs any more.
            _try(repository, "kill", running)
        time.sleep(_PAUSE)


def _try(repository: Repository, command: str, names: Sequence[str]) -> None:
    """One may have passed on since it was looked at: then the next look tells."""
    with contextlib.suppress(InputError):
        call(repository, command, *names)
