"""The folder beside an output in which a killed stage leaves what it has done.

DVC removes a stage's outputs before it runs the stage, so unfinished work cannot lie in there.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing


def partial_root(target: Path) -> Path:
    """Where the unfinished work of an output lies."""
    return target.with_name(f"{target.name}.partial")


def become_output(folder: Path, target: Path) -> None:
    """Turn a folder, in which everything is now, into the output."""
    if os.path.lexists(target):
        with replacing(target) as temporary:
            folder.replace(temporary)
    else:
        # As DVC calls it: one step, and nothing is lost on either side of it.
        folder.replace(target)


def require_same(ours: Mapping[str, Any], theirs: Mapping[str, Any], subject: str) -> None:
    """Compare the fingerprint of this run with that of the work that was found.

    Raises:
        DataError: They differ; the message begins with ``subject`` and names the keys.
    """
    changed = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    if changed:
        raise DataError(f"{subject} made with another {', '.join(changed)}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder and hold it for the block; the system lets go of it for a killed process.

    A stage outlives a DVC that is killed, so the next ``dvc repro`` may meet it still at work.

    Raises:
        DataError: Another process holds the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(folder) from None
        except OSError:
            # Some network file systems lock no folders: then nobody is kept out, as before.
            pass
        if not folder.exists() or not os.path.samestat(os.fstat(descriptor), folder.stat()):
            raise _busy(folder)  # The other one has just finished and removed it.
        yield
    finally:
        os.close(descriptor)


def _busy(folder: Path) -> DataError:
    return DataError(
        f"{folder}: another process is writing there",
        "wait until it has finished, or end it; then run again",
    )
