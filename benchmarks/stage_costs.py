"""What a command costs, stage by stage: seconds, CPU time, and the memory of all its processes."""

import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from siglip2_multimodal_hash.errors import InputError

SAMPLE_SECONDS = 0.2
_DISK_SECONDS = 1.0
# DVC says so before it starts a stage; what follows up to the next one, hashing and caching of the
# outputs included, is the stage's.
_RUNNING = re.compile(r"Running stage '(.+)':")


@dataclass
class Cost:
    """What a stage takes.

    Attributes:
        seconds: On the wall.
        cpu_seconds: Of all processes.
        anonymous: The most bytes at a time that only their processes hold, shared memory included.
        file_backed: The most bytes at a time of mapped files, which the system may drop.
        disk: The most bytes that the files in the command's folder took.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    anonymous: int = 0
    file_backed: int = 0
    disk: int = 0

    def add(self, other: "Cost") -> None:
        """Let another stage follow this one."""
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.anonymous = max(self.anonymous, other.anonymous)
        self.file_backed = max(self.file_backed, other.file_backed)
        self.disk = max(self.disk, other.disk)


def together(costs: Iterable[Cost]) -> Cost:
    """Stages that follow one another."""
    whole = Cost()
    for one in costs:
        whole.add(one)
    return whole


def run_measured(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], first: str
) -> dict[str, Cost]:
    """Run a command, repeat on stderr what it prints, and measure it.

    Args:
        command: With its arguments.
        folder: That it runs in.
        environment: Its variables.
        first: Name of what comes before the first stage of DVC; all there is in other commands.

    Returns:
        By stage, in the order in which they ran.

    Raises:
        InputError: The system does not tell the memory of a process by its kinds, or the command
            fails.
    """
    if not Path("/proc/self/smaps_rollup").is_file():
        raise InputError("this system has no /proc/PID/smaps_rollup", "measure it on Linux")
    before = _cpu_of_finished()
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        meter = _Meter(psutil.Process(process.pid), folder, first)
        try:
            for line in process.stdout or ():
                if found := _RUNNING.match(line):
                    meter.turn_to(found[1])
                print(line, end="", file=sys.stderr, flush=True)
            code = process.wait()
        finally:
            meter.stop()
    meter.settle(_cpu_of_finished() - before)
    if code:
        raise InputError(f"{' '.join(command)}: exit code {code}", "its own words stand above")
    return meter.costs


def disk_use(folder: Path) -> int:
    """Bytes that the files below a folder take; of files with several names once."""
    sizes = {}
    for path in folder.rglob("*"):
        with suppress(OSError):  # gone since it was listed
            status = path.lstat()
            sizes[status.st_ino] = status.st_blocks * 512
    return sum(sizes.values())


def _cpu_of_finished() -> float:
    """CPU seconds of all processes that this one has waited for, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Meter:
    """Looks at a process and all below it, from a thread of its own, for one stage at a time."""

    def __init__(self, process: psutil.Process, folder: Path, first: str) -> None:
        self._process = process
        self._folder = folder
        self.costs = {first: Cost()}
        self._now = self.costs[first]
        self._cpu = 0.0
        self._began = time.perf_counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def turn_to(self, stage: str) -> None:
        """End what ran, and begin a stage."""
        with suppress(psutil.Error):  # it has just ended
            # Of the process itself, and of those that it has waited for: all before this stage.
            self.settle(sum(self._process.cpu_times()[:4]))
        self._now = self.costs.setdefault(stage, Cost())

    def settle(self, cpu: float) -> None:
        """Charge the running stage with what has been used since the one before it ended."""
        now = time.perf_counter()
        self._now.seconds += now - self._began
        self._now.cpu_seconds += cpu - self._cpu
        self._began, self._cpu = now, cpu

    def stop(self) -> None:
        """Look no longer."""
        self._over.set()
        self._thread.join()
        self._now.add(Cost(disk=disk_use(self._folder)))

    def _look_on(self) -> None:
        disk_due = 0.0
        while not self._over.is_set():
            started = time.perf_counter()
            found = Cost()
            with suppress(psutil.Error):
                for one in (self._process, *self._process.children(recursive=True)):
                    anonymous, file_backed = _memory(one.pid)
                    found.anonymous += anonymous
                    found.file_backed += file_backed
            if started >= disk_due:
                found.disk = disk_use(self._folder)
                disk_due = time.perf_counter() + _DISK_SECONDS
            self._now.add(found)
            self._over.wait(max(0.0, SAMPLE_SECONDS - (time.perf_counter() - started)))


def _memory(pid: int) -> tuple[int, int]:
    """Bytes of a process, anonymous and file-backed; of pages that several have, its share.

    So nothing counts twice. Of libraries, processes of other programs have a share, too.
    """
    with suppress(OSError):  # it has just ended
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        kib = {name: int(size) for name, size, *_ in map(str.split, lines[1:])}
        return 1024 * (kib["Pss_Anon:"] + kib["Pss_Shmem:"]), 1024 * kib["Pss_File:"]
    return 0, 0
