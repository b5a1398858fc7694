"""Results in any order to rows in order, on the disk shard by shard; only the driver writes."""

import logging
import time
from contextlib import ExitStack
from typing import Self

import numpy as np

from siglip2_multimodal_hash.features.engines.ray_worker import Result
from siglip2_multimodal_hash.features.reader import Reader
from siglip2_multimodal_hash.features.writer import UnfinishedEmbeddings
from siglip2_multimodal_hash.progress import phase

logger = logging.getLogger(__name__)


class Progress:
    """Batches that have come back, and the progress that may be recorded.

    Batches are counted from the first on without a gap: what comes back earlier than its
    predecessors is written, and counts when they are there.

    Args:
        reader: Items that are embedded.
        work: Unfinished output that takes them.
        unit: Name of the items.
        shard_seconds: Interval at which it is recorded.

    Attributes:
        failures: By the number of the batch.
        seconds: Time that the towers of all workers took.
    """

    def __init__(
        self,
        reader: Reader,
        work: UnfinishedEmbeddings,
        unit: str,
        shard_seconds: float,
    ) -> None:
        self._reader = reader
        self._work = work
        self._writer = work.writers[unit]
        self._unit = unit
        self._shard_seconds = shard_seconds
        self._start = self._whole = work.done[unit]
        self._back = np.zeros(len(reader), dtype=bool)
        self._back[: self._start] = True
        self._written = self._back.copy()
        self._recorded = self._began = time.monotonic()
        self._open = ExitStack()
        before = reader.rows_before(self._start)
        shown = phase(unit, self._writer.rows, unit.removesuffix("s"), initial=before)
        self._shown = self._open.enter_context(shown)
        self.failures: dict[int, tuple[str, ...]] = {}
        self.seconds = 0.0
        if 0 < self._start < len(reader):
            logger.info("%s: continuing at batch %d of %d", unit, self._start + 1, len(reader))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def missing(self) -> list[int]:
        """Numbers of the batches that have not come back."""
        numbers: list[int] = np.flatnonzero(~self._back).tolist()
        return numbers

    def take(self, result: Result) -> None:
        """Write a result, or note its failures; record when it is time.

        Raises:
            DataError: A value is NaN or infinite.
        """
        number = result.number
        if self._back[number]:
            return
        self._back[number] = True
        self._shown.update(self._reader.rows_before(number + 1) - self._reader.rows_before(number))
        self.seconds += result.seconds
        if result.failures:
            self.failures[number] = result.failures
        if len(result.rows) > 0:
            self._writer.write(result.rows, result.features)
            self._written[number] = True
        if not self.failures and time.monotonic() - self._recorded >= self._shard_seconds:
            self.record()

    def record(self) -> None:
        """Flush the written batches to disk, up to the first that is missing."""
        gaps = np.flatnonzero(~self._written)
        whole = int(gaps[0]) if len(gaps) else len(self._written)
        if whole > self._whole:
            self._work.record(self._unit, whole)
            self._whole = whole
        self._recorded = time.monotonic()

    def report(self, workers: int) -> None:
        """Log the rate, and how much of the time the towers had work."""
        elapsed = time.monotonic() - self._began
        count = self._writer.rows - self._reader.rows_before(self._start)
        logger.info(
            "%s %s in %.1f s, %s %s/s (%d Ray worker(s), whose towers were busy %.0f %% of it)",
            f"{count:,}",
            self._unit,
            elapsed,
            f"{count / max(elapsed, 1e-9):,.0f}",
            self._unit,
            workers,
            100 * self.seconds / max(elapsed * workers, 1e-9),
        )
