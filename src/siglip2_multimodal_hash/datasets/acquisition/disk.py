"""Space on the disk, asked before the first byte is written."""

import errno
import os
import shutil
from pathlib import Path

from siglip2_multimodal_hash.errors import DataError

# EFBIG: a limit on the size of one file (FAT: 4 GB; a shell's `ulimit -f`).
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def free_bytes(folder: Path) -> int:
    """Bytes that a user may still write where ``folder`` lies or will lie."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def check_free(folder: Path, needed: int, free: int, what: str) -> None:
    """Check that ``needed`` bytes fit.

    Raises:
        DataError: They do not; the message has both figures.
    """
    if needed > free:
        raise DataError(
            f"{folder}: {what} needs {readable(needed)} and the disk has {readable(free)} free",
            "make room, or choose a folder on another disk; what has arrived so far is kept",
        )


def write_error(path: Path, error: OSError) -> DataError:
    """What to tell the user of a file that could not be written."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return DataError(
            f"{path}: the disk is full ({reason})",
            "make room and run again: what has arrived so far is kept",
        )
    return DataError(f"{path}: cannot be written ({reason})", "check the folder and its rights")


def readable(size: int) -> str:
    """A size as people say it, in powers of 1000: ``13.5 GB``."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
