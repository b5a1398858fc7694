"""Run experiments, several at a time, each in a clone of the commit that the call began with.

A clone has its own stash, locks and workspace, so experiments neither meet each other nor the
user's work; all share DVC's cache. A finished experiment reaches the repository in one step, by
``git fetch`` of its reference; the clone of an unfinished one is deleted.
"""

import contextlib
import fcntl
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.experiments.plan import Planned
from siglip2_multimodal_hash.experiments.progress import Progress, run_command, why_failed
from siglip2_multimodal_hash.experiments.repository import LOCK_FILE, Repository, references
from siglip2_multimodal_hash.files import require_free

LOGS = Path("live/ablations")
LOCK = Path(".dvc/tmp/ablate.lock")
# Below the folder of DVC's own copies, where `main_repository` finds the project again.
CLONES = Path(".dvc/tmp/exps/ablations")
DEVICES = "CUDA_VISIBLE_DEVICES"
_PAUSE = 0.2
# Seconds that a process gets to heed a signal.
PATIENCE = 10.0
_SHOWN = 10
# Of two experiments that enter one result in the run cache at a time, DVC may take the file that
# one is writing for a damaged one and delete it under the other (`StageCache`).
_LOST_RACE = re.compile(r"No such file or directory: '[^']*/runs/[^']*\.tmp'")


def check_clean(repository: Repository) -> None:
    """Refuse to start where a file is changed: experiments run the commit, without the change.

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
        remedy = (
            "experiments run the last commit, without these changes: `git commit` or `git stash` "
            "them first"
        )
        if LOCK_FILE in changed:
            remedy += (
                "; where `dvc exp run` left them, `git restore . && dvc checkout` goes back, and "
                "the experiment is kept (`dvc exp apply NAME` brings it here again)"
            )
        raise InputError(f"{len(changed)} file(s) changed since the last commit: {shown}", remedy)


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


def collect_finished(repository: Repository) -> None:
    """Take over what clones of a killed call have finished, and delete the clones."""
    for clone in (repository.folder / CLONES).glob("*"):
        with contextlib.suppress(subprocess.CalledProcessError):
            _collect(clone, repository)
        shutil.rmtree(clone, ignore_errors=True)


def run_all(
    planned: Sequence[Planned], repository: Repository, progress: Progress, jobs: int, lock: int
) -> dict[str, str]:
    """Run experiments; one that fails does not stop the others.

    Args:
        planned: The experiments.
        repository: The repository that records them; they start from its ``head``.
        progress: Told of each begin and end.
        jobs: Number that run at a time; they take the GPUs in turn.
        lock: An open file that each of their processes inherits.

    Returns:
        Names of those that failed, and why.

    Raises:
        InputError: A clone cannot be made.
        KeyboardInterrupt: After Ctrl-C or SIGTERM, when everything has been stopped; finished
            experiments are kept.
    """
    devices = gpus()
    waiting = list(planned)
    lanes: dict[int, _Run] = {}
    failed: dict[str, str] = {}
    again: set[str] = set()
    with _signals_noted() as noted:
        try:
            while (waiting or lanes) and not noted:
                for lane in range(jobs):
                    if waiting and lane not in lanes and not noted:
                        one = waiting.pop(0)
                        if one.name not in again:
                            progress.begin(one.name)
                        device = devices[lane % len(devices)] if len(devices) > 1 else None
                        lanes[lane] = _Run.start(one, repository, device, lock)
                for lane, run in list(lanes.items()):
                    if run.process.poll() is None or noted:
                        continue
                    _stop([run.process.pid])  # a stage may outlive a DVC that was killed
                    del lanes[lane]
                    name, seconds = run.planned.name, time.monotonic() - run.begun
                    if commit := run.end():
                        repository.note_time(commit, seconds)
                        progress.end(name, "done", seconds)
                    elif name not in again and _LOST_RACE.search(run.log_text()):
                        again.add(name)
                        waiting.insert(0, run.planned)
                    else:
                        failed[name] = why_failed(run.log)
                        progress.end(name, "FAILED", seconds)
                time.sleep(_PAUSE if lanes else 0)
        finally:
            _stop([run.process.pid for run in lanes.values()])
            for run in lanes.values():
                run.process.wait()
                run.end()
    if noted:
        raise KeyboardInterrupt
    return failed


def gpus() -> list[str]:
    """The GPUs that experiments may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if (allowed := os.environ.get(DEVICES)) is not None:
        return [device for device in allowed.split(",") if device.strip()]
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.split()


@dataclass(frozen=True)
class _Run:
    """One experiment while it runs."""

    planned: Planned
    repository: Repository
    clone: Path
    log: Path
    process: subprocess.Popen[bytes]
    begun: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, planned: Planned, repository: Repository, gpu: str | None, lock: int) -> "_Run":
        folder = repository.folder
        log, clone = folder / LOGS / f"{planned.name}.log", folder / CLONES / planned.name
        require_free(log)
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            _clone(repository, clone)
            # The folder of this Python's tools: `python` of a stage must be the same.
            tools = str(Path(sys.executable).parent)
            changed = {"PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"}
            changed |= {} if gpu is None else {DEVICES: gpu}
            with log.open("wb") as stream:
                process = subprocess.Popen(
                    run_command(planned), cwd=clone / repository.prefix,
                    env=os.environ | changed, stdin=subprocess.DEVNULL, stdout=stream,
                    stderr=subprocess.STDOUT, start_new_session=True, pass_fds=[lock],
                )  # fmt: skip
        except BaseException:
            shutil.rmtree(clone, ignore_errors=True)
            raise
        return cls(planned, repository, clone, log, process)

    def end(self) -> str | None:
        """Record the experiment, and return its commit; None if it has not finished."""
        try:
            return _collect(self.clone, self.repository).get(self.planned.name)
        except subprocess.CalledProcessError:
            return None
        finally:
            shutil.rmtree(self.clone, ignore_errors=True)

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def _clone(repository: Repository, clone: Path) -> None:
    """Make a clone that shares Git's objects and DVC's cache.

    Raises:
        DataError: Git cannot, such as for lack of space.
    """
    from dvc.config import Config

    shutil.rmtree(clone, ignore_errors=True)
    clone.parent.mkdir(parents=True, exist_ok=True)
    root = repository.git("rev-parse", "--show-toplevel").strip()
    try:
        repository.git("clone", "-q", "--shared", "--no-checkout", root, str(clone.absolute()))
        for key in ("user.name", "user.email"):
            with contextlib.suppress(subprocess.CalledProcessError):
                value = repository.git("config", key).rstrip("\n")
                repository.git("-C", str(clone.absolute()), "config", key, value)
        repository.git("-C", str(clone.absolute()), "checkout", "-q", "--detach", repository.head)
    except subprocess.CalledProcessError as error:
        raise DataError(f"{clone}: cannot be made: {error.stderr.strip()}") from None
    with Config(str((clone / repository.prefix / ".dvc").absolute())).edit("local") as config:
        config.update(repository.local_config)


def _collect(clone: Path, repository: Repository) -> dict[str, str]:
    """Fetch the experiments of a clone; their commits by name."""
    place = str(clone.absolute())
    found = references(lambda *words: repository.git("-C", place, *words))
    for reference, _, _, _ in found:
        repository.git(
            "fetch", "-q", "--no-tags", "--no-auto-maintenance", "--no-write-fetch-head",
            place, f"+{reference}:{reference}",
        )  # fmt: skip
    return {name: commit for _, commit, _, name in found}


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Note Ctrl-C and SIGTERM in a list, for places where nothing is half-done.

    What is ignored stays so, as Ctrl-C does in what a shell started in the background.
    """
    noted: list[int] = []
    before = {
        one: signal.signal(one, lambda number, _: noted.append(number))
        for one in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(one) is not signal.SIG_IGN
    }
    try:
        yield noted
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _stop(leaders: Collection[int]) -> None:
    """Interrupt the groups of some processes and all that they started; kill what stays."""
    started: set[psutil.Process] = set()
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE
        for pause in itertools.count():
            started |= set(_family(leaders))
            left = [one for one in started if _runs(one)]
            if not left:
                return
            if pause == 0:
                for one in left:
                    with contextlib.suppress(psutil.Error):
                        one.send_signal(sent)
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)


def _family(leaders: Collection[int]) -> Iterator[psutil.Process]:
    """All processes of the groups of some, and all descendants of these."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) in leaders:
                yield process
                yield from process.children(recursive=True)


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
