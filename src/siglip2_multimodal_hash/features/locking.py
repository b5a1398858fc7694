"""One process at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siglip2_multimodal_hash.errors import DataError


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
