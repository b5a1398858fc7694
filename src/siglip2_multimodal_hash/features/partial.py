"""Unfinished embeddings, kept beside the output so that a killed run can be continued.

``<output>.partial/`` holds ``progress.json`` and the arrays, in a folder that becomes the output in
the end. DVC removes a stage's outputs before it runs the stage, so they cannot lie in there. The
progress is written after the rows that it counts are on the disk; what it does not count is
computed again, in the same batches, so the result is that of a run without a break.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.errors import DataError, explained_disk
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.writer import DISK_REMEDY, ArrayWriter
from siglip2_multimodal_hash.files import read_json, remove, replacing
from siglip2_multimodal_hash.params import StoreDtype
from siglip2_multimodal_hash.partial_output import become_output, locked, partial_root, require_same

logger = logging.getLogger(__name__)

PROGRESS = "progress.json"
ARRAYS = {"images": store.IMAGE, "captions": store.CAPTION}


class PartialWork:
    """The arrays on their way and how many whole batches of each are in them.

    Made by :func:`partial_work`.

    Attributes:
        folder: Where the files of the output are put together.
        done: Whole batches on the disk, of ``images`` and of ``captions``.
        writers: One for each of the two.
    """

    def __init__(
        self,
        target: Path,
        fingerprint: Mapping[str, Any],
        rows: Mapping[str, int],
        batches: Mapping[str, int],
        dtype: StoreDtype,
    ) -> None:
        self._target = target
        self._root = partial_root(target)
        self._fingerprint = dict(fingerprint)
        self._batches = batches
        self.folder = self._root / target.name
        self.done = dict.fromkeys(ARRAYS, 0)
        self.writers = {
            unit: ArrayWriter(self.folder / name, rows[unit], dtype)
            for unit, name in ARRAYS.items()
        }
        if (self._root / PROGRESS).exists():
            self._restore(rows, dtype)
        self._tidy()

    def record(self, unit: str, batches: int) -> None:
        """Bring the rows to the disk; from then on these batches are not computed again."""
        with explained_disk(self._root, DISK_REMEDY):
            self.writers[unit].flush()
            done = self.done | {unit: batches}
            content = {"fingerprint": self._fingerprint, "batches": done}
            with replacing(self._root / PROGRESS) as temporary, temporary.open("w") as stream:
                json.dump(content, stream, indent=2, sort_keys=True)
                stream.flush()
                # A rename may reach the disk before what it names.
                os.fsync(stream.fileno())
        self.done = done

    def complete(self) -> None:
        """Turn the folder, in which everything is now, into the output."""
        become_output(self.folder, self._target)
        shutil.rmtree(self._root)

    def summary(self) -> str:
        """Such as ``3 of 8 batches of images and 0 of 5 of captions``."""
        counts = {unit: f"{self.done[unit]} of {self._batches[unit]}" for unit in ARRAYS}
        return f"{counts['images']} batches of images and {counts['captions']} of captions"

    def remove_if_empty(self) -> None:
        """Leave nothing beside the output unless a batch is whole."""
        if not any(self.done.values()):
            shutil.rmtree(self._root, ignore_errors=True)

    def _restore(self, rows: Mapping[str, int], dtype: StoreDtype) -> None:
        """Take over the batches of an earlier run, or none where they are of no use."""
        try:
            done = self._read_progress()
            writers = {
                unit: ArrayWriter.reopen(self.folder / ARRAYS[unit], rows[unit], dtype)
                for unit in ARRAYS
                if done[unit]
            }
        except DataError as error:
            reason = str(error).splitlines()[0]
            logger.warning("unfinished embeddings are thrown away: %s", reason)
            return
        self.done = done
        self.writers |= writers
        logger.info("found %s in %s", self.summary(), self._root)

    def _read_progress(self) -> dict[str, int]:
        path = self._root / PROGRESS
        stored = read_json(path)
        if not isinstance(stored, dict) or not isinstance(stored.get("fingerprint"), dict):
            raise DataError(f"{path}: not the progress of embeddings")
        require_same(self._fingerprint, stored["fingerprint"], "they were")
        done = stored.get("batches")
        if (
            not isinstance(done, dict)
            or done.keys() != ARRAYS.keys()
            or not all(type(done[u]) is int and 0 <= done[u] <= self._batches[u] for u in ARRAYS)
        ):
            raise DataError(f"{path}: batches are {done}")
        return done

    def _tidy(self) -> None:
        """Remove what is not counted: the rest of another run, or the files of a killed rename."""
        if not any(self.done.values()):
            # First, so that a kill in between leaves no progress without its arrays.
            (self._root / PROGRESS).unlink(missing_ok=True)
        kept = [ARRAYS[unit] for unit in ARRAYS if self.done[unit]]
        _keep_only(self._root, [PROGRESS, self.folder.name])
        self.folder.mkdir(exist_ok=True)
        _keep_only(self.folder, kept)


@contextmanager
def partial_work(
    target: Path,
    fingerprint: Mapping[str, Any],
    rows: Mapping[str, int],
    batches: Mapping[str, int],
    dtype: StoreDtype = "float32",
) -> Iterator[PartialWork]:
    """Open the unfinished work beside ``target``, or begin it.

    Args:
        target: The folder of the output.
        fingerprint: See :func:`.fingerprint.fingerprint`; work of another one is thrown away.
        rows: Of the array of ``images`` and of ``captions``.
        batches: How many there are of each.
        dtype: Of the arrays' values.

    Raises:
        DataError: Another process is at it.
    """
    with locked(target):
        work = PartialWork(target, fingerprint, rows, batches, dtype)
        try:
            yield work
        except KeyboardInterrupt:
            if any(work.done.values()):
                root = partial_root(target)
                logger.warning("interrupted: %s stay in %s for the next run", work.summary(), root)
            raise
        finally:
            work.remove_if_empty()


def _keep_only(folder: Path, names: list[str]) -> None:
    for path in folder.iterdir():
        if path.name not in names:
            remove(path)
