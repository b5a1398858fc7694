"""Run missing experiments one after another, each in a copy of the repository."""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from siglip2_multimodal_hash.ablations.commands import run_command, run_logged
from siglip2_multimodal_hash.ablations.plan import Wanted
from siglip2_multimodal_hash.ablations.progress import Progress
from siglip2_multimodal_hash.ablations.repository import Recorded, Repository
from siglip2_multimodal_hash.ablations.status import Status
from siglip2_multimodal_hash.errors import InputError

LOGS = Path("live/ablations")
LOCK = Path(".dvc/tmp/ablate.lock")
_LAST = 3
_SHOWN = 10


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        done: Names of experiments that are there now.
        failed: Names of those that ended without a result, and why.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def check_clean(repository: Repository) -> None:
    """Refuse to start where a file is changed: an experiment would hold it under no commit.

    Raises:
        InputError: Files are changed; the message lists them, or names the experiment that runs in
            the workspace and has changed them.
    """
    changed = repository.changed_files()
    if changed:
        if running := _in_workspace(repository.folder):
            raise InputError(
                f"experiment {running} is running in this workspace, whose files are its own until "
                "it ends",
                "wait for it; in a workspace run experiments one at a time, others with --temp or "
                "--queue",
            )
        shown = ", ".join(changed[:_SHOWN]) + (", ..." if changed[_SHOWN:] else "")
        raise InputError(
            f"{len(changed)} file(s) changed since the last commit: {shown}",
            "an experiment would take the changes in (untracked code: leave it out) and no commit "
            "would say so: `git commit` or `git stash` them first",
        )


def _in_workspace(folder: Path) -> str | None:
    """The name of the experiment that ``dvc exp run`` runs in the workspace itself."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        name: str | None = repo.experiments.workspace_queue.get_running_exp()
    return name


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[int]:
    """Hold the lock of this command; an experiment that outlives it holds it, too.

    Raises:
        InputError: Another one holds it, or this is no repository of DVC.
    """
    path = folder / LOCK
    if not (folder / ".dvc").is_dir():
        raise InputError(f"{folder.absolute()}: no repository of DVC", "go to the project's root")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "another `smhash ablate`, or an experiment that a killed one left, is running",
                f"wait for it; `fuser {LOCK}` names the process",
            ) from None
        yield stream.fileno()


@contextlib.contextmanager
def terminated_is_interrupted() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_all(
    statuses: Sequence[Status], repository: Repository, progress: Progress, lock: int
) -> Outcome:
    """Run experiments one after another; one that fails does not stop the others.

    Raises:
        KeyboardInterrupt: The running one has been stopped; those before it are kept.
    """
    outcome = Outcome()
    for status in statuses:
        name = status.wanted.name
        repository.drop_started()
        progress.begin(name)
        begun = time.monotonic()
        with replaced(status, repository):
            code = run_logged(
                run_command(status.wanted), _log(repository, name), repository.folder, [lock]
            )
            found = fitting(status.wanted, repository)
        seconds = time.monotonic() - begun
        if code == 0 and found:
            repository.note_time(found.commit, seconds)
            outcome.done.append(name)
            progress.end(name, "done", seconds)
        else:
            outcome.failed[name] = why_failed(_log(repository, name))
            progress.end(name, "FAILED", seconds)
    return outcome


@contextlib.contextmanager
def replaced(status: Status, repository: Repository) -> Iterator[None]:
    """Let go of an experiment of the same name and commit, and take it back without a new one."""
    old = fitting(status.wanted, repository)
    if old is None:
        yield
        return
    repository.remove(old)
    try:
        yield
    finally:
        if fitting(status.wanted, repository) is None:
            repository.restore(old)


def fitting(wanted: Wanted, repository: Repository) -> Recorded | None:
    """The experiment of that name that started from the commit that lies here."""
    head = repository.head()
    found = repository.experiments().get(wanted.name, [])
    return next((one for one in found if one.baseline == head), None)


def why_failed(log: Path) -> str:
    """The last words of a log, and where it lies."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.startswith(("error:", "->"))] or said
    return f"{' | '.join(errors[-_LAST:]) or 'no output'} ({os.path.relpath(log)})"


def _log(repository: Repository, name: str) -> Path:
    return repository.folder / LOGS / f"{name}.log"
