"""The folder beside an output in which a killed stage leaves what it has done.

DVC removes a stage's outputs before it runs the stage, so unfinished work cannot lie in there.
"""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import holds_only, require_free


def partial_root(target: Path) -> Path:
    """Where the unfinished work of an output lies."""
    return target.with_name(f"{target.name}.partial")


def become_output(folder: Path, target: Path) -> None:
    """Turn a folder, in which everything is now, into the output.

    One step, and nothing is lost on either side of it.

    Raises:
        InputError: Something lies there; DVC would have removed an old output.
    """
    require_free(target)
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
def locked(target: Path) -> Iterator[None]:
    """Make the folder beside an output and hold it for the block.

    The system lets go of it for a killed process. A stage outlives a DVC that is killed, so the
    next ``dvc repro`` may meet it still at work.

    Raises:
        DataError: Another process holds the folder.
        InputError: Something lies where the output goes, or the folder holds what is no unfinished
            work, and so must not be removed with it.
    """
    folder = partial_root(target)
    require_free(target)
    names = rf"\.?progress\.json.*|state-\d+\.safetensors|{re.escape(target.name)}"
    require_free(folder, ours=holds_only(names))
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
