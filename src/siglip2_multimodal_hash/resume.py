"""Unfinished outputs, kept beside their place so that a killed stage goes on from there.

``<output>.partial/`` holds the folder that becomes the output in the end, what else the work needs,
and ``progress.json``: what the work was made with, how far it is, and the files that belong to it.
It is written last, in one step, so that it always speaks of files that are on the disk. DVC removes
a stage's outputs before it runs the stage, so nothing of this can lie in the output itself.

Work is taken up where everything that decides its bytes, its fingerprint, is the same, and where
its files are undamaged. Otherwise it is discarded with a warning, and the stage begins anew.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

from siglip2_multimodal_hash.device import device_text
from siglip2_multimodal_hash.errors import DataError, explained_disk
from siglip2_multimodal_hash.files import (
    PROGRESS,
    file_sha256,
    holds_only,
    partial_root,
    read_json,
    remove,
    replacing,
    require_free,
)

logger = logging.getLogger(__name__)

DISK_REMEDY = (
    "free space on that disk, or check the folder's permissions, and rerun: finished work is kept"
)
_PACKAGE = Path(__file__).parent

Taken = TypeVar("Taken")


class Unfinished:
    """An output on its way; opened by :func:`unfinished`.

    Attributes:
        root: The folder beside the output.
        folder: The folder in it that becomes the output.
    """

    def __init__(self, target: Path, fingerprint: Mapping[str, Any]) -> None:
        self._target = target
        # As it comes back from a file.
        self._fingerprint: dict[str, Any] = json.loads(json.dumps(fingerprint))
        self._files: dict[str, str | None] = {}
        self._done = ""
        self.root = partial_root(target)
        self.folder = self.root / target.name

    def restore(self, take_up: Callable[[dict[str, Any]], Taken]) -> Taken | None:
        """Go on with the work of an earlier run, where there is any of the same fingerprint.

        What belongs to no progress is removed.

        Args:
            take_up: Gets the progress that was recorded; raises DataError where a file is damaged.

        Returns:
            Result of ``take_up``; None where the work begins anew.
        """
        taken = None
        if (self.root / PROGRESS).exists():
            try:
                taken = take_up(self._read())
                logger.info("found %s in %s", self._done, self.root)
            except DataError as error:
                reason = str(error).splitlines()[0]
                logger.warning("the unfinished work in %s is discarded: %s", self.root, reason)
                self._files = {}
        self._tidy()
        return taken

    def record(
        self,
        done: str,
        progress: Mapping[str, Any],
        *,
        whole: Iterable[str] = (),
        growing: Iterable[str] = (),
    ) -> None:
        """Keep what is done; from then on it is not computed again.

        Args:
            done: Progress of the work, for people: ``3 epochs``.
            progress: Progress of the work, as JSON.
            whole: Files below :attr:`root` that do not change any more; their digests are kept.
            growing: Files that later work goes on with; both are on the disk already.

        Raises:
            DataError: The disk is full or the folder cannot be written.
        """
        with explained_disk(self.root, DISK_REMEDY):
            files: dict[str, str | None] = dict.fromkeys(growing)
            files |= {
                name: self._files.get(name) or file_sha256(self.root / name) for name in whole
            }
            content = {
                "fingerprint": self._fingerprint,
                "done": done,
                "progress": progress,
                "files": files,
            }
            signed = content | {"sha256": _digest(content)}
            with replacing(self.root / PROGRESS) as temporary:
                write_durably(temporary, json.dumps(signed, indent=1, sort_keys=True).encode())
        former, self._files, self._done = self._files, files, done
        for name in former.keys() - files.keys():
            remove(self.root / name)

    def complete(self) -> None:
        """Turn :attr:`folder`, in which everything is now, into the output, in one step.

        Raises:
            DataError: The folder cannot be written.
            InputError: Something lies there; DVC would have removed an old output.
        """
        require_free(self._target)
        with explained_disk(self.root, DISK_REMEDY):
            self.folder.replace(self._target)
        shutil.rmtree(self.root)

    def _read(self) -> dict[str, Any]:
        """The progress of an earlier run.

        Raises:
            DataError: It is of another fingerprint, or it or a file is damaged.
        """
        path = self.root / PROGRESS
        stored = read_json(path)
        if not isinstance(stored, dict) or stored.pop("sha256", None) != _digest(stored):
            raise DataError(f"{path}: damaged, or of another version")
        ours, theirs = self._fingerprint, stored["fingerprint"]
        if changed := sorted(
            k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k)
        ):
            raise DataError(f"it was made with another {', '.join(changed)}")
        for name, digest in stored["files"].items():
            file = self.root / name
            if not file.is_file() or (digest and file_sha256(file) != digest):
                raise DataError(f"{file}: missing or damaged")
        self._files, self._done = stored["files"], stored["done"]
        progress: dict[str, Any] = stored["progress"]
        return progress

    def _tidy(self) -> None:
        """Remove what the progress does not name; all where there is none."""
        if not self._files:
            # First, so that a kill in between leaves no progress without its files.
            (self.root / PROGRESS).unlink(missing_ok=True)
        self.folder.mkdir(exist_ok=True)
        kept = {self.folder, self.root / PROGRESS, *(self.root / name for name in self._files)}
        for path in [*self.root.iterdir(), *self.folder.iterdir()]:
            if path not in kept:
                remove(path)

    def _leave(self, *, interrupted: bool) -> None:
        """Keep what is recorded and no more, after an error."""
        if not self._files or not self.root.exists():
            return
        # Remove what was begun since; on a full disk, nothing else can be done.
        self._tidy()
        if interrupted:
            logger.warning("interrupted: kept %s in %s for the next run", self._done, self.root)

    def _remove_if_empty(self) -> None:
        if not self._files:
            shutil.rmtree(self.root, ignore_errors=True)


@contextmanager
def unfinished(target: Path, fingerprint: Mapping[str, Any]) -> Iterator[Unfinished]:
    """Open the unfinished work beside ``target``, or begin it.

    Args:
        target: The folder of the output.
        fingerprint: JSON that is equal exactly where the bytes of the output are, see
            :func:`computation`; its keys are named where they differ.

    Raises:
        DataError: Another process is at it.
        InputError: See :func:`locked`.
    """
    with locked(target):
        work = Unfinished(target, fingerprint)
        try:
            yield work
        except BaseException as error:
            work._leave(interrupted=isinstance(error, KeyboardInterrupt))
            raise
        finally:
            work._remove_if_empty()


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


def computation(
    device: torch.device, code: Iterable[str], libraries: Iterable[str]
) -> dict[str, Any]:
    """The part of a fingerprint about what this process computes with.

    Code, libraries, device and threads move the last bits of every float.

    Args:
        device: Device that computes.
        code: Patterns of modules in the package, beside those that every stage shares.
        libraries: Names of distributions.
    """
    patterns = ("device.py", "resume.py", *code)
    return {
        "code_sha256": files_sha256(path for part in patterns for path in _PACKAGE.glob(part)),
        "libraries": {name: version(name) for name in libraries},
        "device": device_text(device),
    }


def files_sha256(paths: Iterable[Path]) -> str:
    """SHA-256 of the names and bytes of files; folders among the paths are left out."""
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(f"{path.name}\0{file_sha256(path)}\0".encode())
    return digest.hexdigest()


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and bring it to the disk: what names it may be renamed next."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
