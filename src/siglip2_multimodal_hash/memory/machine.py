"""Memory and cards of this machine as the system reports them, without PyTorch."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import psutil

DRIVER_SECONDS = 20

CGROUPS = Path("/sys/fs/cgroup")
# Files of the limit, the usage and its parts, and the part that is page cache; version 2, then 1.
_CGROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat", "file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_cache",
    ),
)


def total_memory(cgroups: Path = CGROUPS) -> int:
    """Main memory of the machine, or the limit of the container."""
    return min([psutil.virtual_memory().total, *(limit for limit, _ in _containers(cgroups))])


def free_main_memory(cgroups: Path = CGROUPS) -> int:
    """Main memory that may still be taken without swapping."""
    return min([psutil.virtual_memory().available, *(free for _, free in _containers(cgroups))])


def tree_memory(process: psutil.Process) -> int:
    """Resident memory of a process and of those that it started."""
    resident = 0
    with contextlib.suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                resident += one.memory_info().rss
    return resident


def query_cards(*fields: str) -> list[list[str]]:
    """Values of NVIDIA's cards by the driver's own tool, a list per card; none without the tool.

    Args:
        fields: Names that ``nvidia-smi --help-query-gpu`` lists.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(
            command, capture_output=True, text=True, timeout=DRIVER_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    lines = [line for line in listed.stdout.splitlines() if line.strip()]
    return [[value.strip() for value in line.split(",")] for line in lines]


def _containers(root: Path) -> list[tuple[int, int]]:
    """Limit and the rest that it leaves, page cache included; empty where there is no limit."""
    found = []
    for limit, usage, statistics, cache in _CGROUP_FILES:
        with contextlib.suppress(OSError, ValueError, KeyError):  # no limit reads as `max`
            allowed, used = (int((root / n).read_text(encoding="ascii")) for n in (limit, usage))
            lines = (root / statistics).read_text(encoding="ascii").splitlines()
            cached = int(dict(line.split() for line in lines)[cache])
            found.append((allowed, allowed - used + cached))
    return found
