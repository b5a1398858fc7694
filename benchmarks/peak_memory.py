"""The most memory that a process held."""

import resource
import sys
from pathlib import Path


def peak_gb() -> float:
    """The most memory that this process held, in GiB.

    Linux hands ``ru_maxrss`` on to what a process starts (getrusage(2) counts across execve), so a
    small child would report the peak of the parent that wrote the source; VmHWM is its own.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
