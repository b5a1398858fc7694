"""Run missing experiments through DVC's queue, several at a time."""

import contextlib
import re
import time
from collections.abc import Sequence
from pathlib import Path

from siglip2_multimodal_hash.ablations.commands import assignments, dvc, run_logged
from siglip2_multimodal_hash.ablations.dvc_queue import (
    RUNNING,
    WAITING,
    call,
    tasks,
    workers_alive,
)
from siglip2_multimodal_hash.ablations.pipeline import TARGET
from siglip2_multimodal_hash.ablations.plan import Wanted
from siglip2_multimodal_hash.ablations.progress import Progress
from siglip2_multimodal_hash.ablations.repository import Repository
from siglip2_multimodal_hash.ablations.run import LOGS, Outcome, fitting, replaced, why_failed
from siglip2_multimodal_hash.ablations.status import Status
from siglip2_multimodal_hash.ablations.stopping import forget, withdraw
from siglip2_multimodal_hash.errors import InputError

_PAUSE = 4.0  # a look at the queue takes some 0.2 CPU seconds
# Polls without any sign of a worker after which to ask for workers again.
_SILENT = 8
# Of two experiments that enter one result in the run cache at a time, DVC may take the file that
# one is writing for a damaged one and delete it under the other (`StageCache`).
_LOST_RACE = re.compile(r"No such file or directory: '[^']*/runs/[^']*\.tmp'")


def run_queued(
    statuses: Sequence[Status], repository: Repository, progress: Progress, jobs: int
) -> Outcome:
    """Queue experiments, start workers and wait for all of them.

    Raises:
        InputError: DVC cannot queue one of them, or start a worker.
        KeyboardInterrupt: Those that ran have been stopped, those that waited are off the queue;
            what had ended is kept.
    """
    names = [status.wanted.name for status in statuses]
    with contextlib.ExitStack() as stack:
        forget(repository, names)
        _let_idle_workers_leave(repository)
        for status in statuses:
            stack.enter_context(replaced(status, repository))
        try:
            _queue(repository, [status.wanted for status in statuses])
            return _Watch(statuses, repository, progress, jobs).wait()
        except BaseException:
            withdraw(repository, names)
            raise


class _Watch:
    """Waits for queued experiments and counts those that end."""

    def __init__(
        self, statuses: Sequence[Status], repository: Repository, progress: Progress, jobs: int
    ) -> None:
        self._wanted = {status.wanted.name: status.wanted for status in statuses}
        self._repository, self._progress, self._jobs = repository, progress, jobs
        self._outcome = Outcome()
        self._begun: dict[str, float] = {}
        self._again: set[str] = set()
        self._looked = time.monotonic()

    def wait(self) -> Outcome:
        """Until all have ended."""
        waiting = dict(self._wanted)
        silent = _SILENT
        while waiting:
            found = tasks(self._repository.folder, waiting)
            states = {name: task.state for name, task in found.items()}
            at_work = RUNNING in states.values() and workers_alive(self._repository.folder)
            silent = 0 if at_work else silent + 1
            # Workers that found nothing to do have left; or one was killed, and what it ran is
            # said to run for ever.
            abandoned = silent > _SILENT
            if abandoned:
                call(self._repository, "start", "-j", self._jobs)
                silent = 0
            for name in list(waiting):
                state = states.get(name, "Gone")
                if state == RUNNING:
                    self._begun.setdefault(name, time.monotonic())
                ended = state not in (WAITING, RUNNING) or (abandoned and state == RUNNING)
                if ended and self._end(name):
                    del waiting[name]
            self._looked = time.monotonic()
            if waiting:
                time.sleep(_PAUSE)
        return self._outcome

    def _end(self, name: str) -> bool:
        """Count one that has ended, or queue it again, once, if it lost a race: then False."""
        # One that was never seen to run began after the last look.
        seconds = time.monotonic() - self._begun.get(name, self._looked)
        found = fitting(self._wanted[name], self._repository)
        if found:
            if name in self._begun:
                self._repository.note_time(found.commit, seconds)
            self._outcome.done.append(name)
            self._progress.end(name, "done", seconds)
            return True
        log = self._repository.folder / LOGS / f"{name}.log"
        run_logged(dvc("queue", "logs", name), log, self._repository.folder)
        if name not in self._again and _lost_race(log):
            self._again.add(name)
            self._begun.pop(name, None)
            _queue(self._repository, [self._wanted[name]])
            return False
        self._outcome.failed[name] = why_failed(log)
        self._progress.end(name, "FAILED", seconds)
        return True


def _lost_race(log: Path) -> bool:
    return _LOST_RACE.search(log.read_text(encoding="utf-8", errors="replace")) is not None


def _let_idle_workers_leave(repository: Repository) -> None:
    """Wait for workers of an earlier call that have nothing more to do.

    One that is about to leave takes no more tasks, and as it goes clears the queue's files.
    """
    folder = repository.folder
    for _ in range(_SILENT):
        at_work = any(task.state == RUNNING for task in tasks(folder).values())
        if at_work or not workers_alive(folder):
            return
        time.sleep(_PAUSE)


def _queue(repository: Repository, experiments: Sequence[Wanted]) -> None:
    """Put experiments into DVC's queue, in one process: a command for each takes a second more.

    Raises:
        InputError: DVC refuses one of them.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from tqdm import tqdm

    with Repo(str(repository.folder)) as repo:
        for one in tqdm(experiments, desc="queueing", unit="experiment", disable=None):
            try:
                repo.experiments.run(
                    targets=[TARGET], name=one.name, params=assignments(one), queue=True
                )
            except DvcException as error:
                raise InputError(f"{one.name}: DVC cannot queue it ({error})") from None
