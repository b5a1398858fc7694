"""The local engine: one process, one device; threads read while the tower computes."""

import logging
import time
from contextlib import closing
from functools import partial

from siglip2_multimodal_hash.features.backoff import BackingOff
from siglip2_multimodal_hash.features.engines.pipeline import Encode
from siglip2_multimodal_hash.features.mapper import Mapper
from siglip2_multimodal_hash.features.reader import Reader, read_batches, unreadable
from siglip2_multimodal_hash.features.timing import Stopwatch
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.features.writer import UnfinishedEmbeddings
from siglip2_multimodal_hash.params import RuntimeParams
from siglip2_multimodal_hash.progress import phase

logger = logging.getLogger(__name__)


class LocalEngine:
    """The :class:`.Pipeline` in this process.

    Args:
        towers: The towers, on their device.
        runtime: Workers.
        shard_seconds: Interval at which the progress is recorded.
    """

    def __init__(self, towers: Towers, runtime: RuntimeParams, shard_seconds: float) -> None:
        self._towers = towers
        self._runtime = runtime
        self._shard_seconds = shard_seconds

    def __call__(
        self, reader: Reader, encode: Encode, work: UnfinishedEmbeddings, unit: str
    ) -> None:
        """See :class:`.Pipeline`."""
        run_pipeline(
            reader,
            Mapper(BackingOff(partial(encode, self._towers), unit)),
            work,
            self._runtime,
            unit,
            pin_memory=self._towers.device.type == "cuda",
            shard_seconds=self._shard_seconds,
        )


def run_pipeline(
    reader: Reader,
    mapper: Mapper,
    work: UnfinishedEmbeddings,
    runtime: RuntimeParams,
    unit: str,
    *,
    pin_memory: bool,
    shard_seconds: float,
) -> None:
    """Read, map and write every batch that is not done; log the rate and the bottleneck.

    Args:
        reader: Items to embed.
        mapper: The tower.
        work: Unfinished output that takes them.
        runtime: Workers.
        unit: Name of the items: ``images`` or ``captions``.
        pin_memory: Whether the tower is on a GPU; see :func:`.read_batches`.
        shard_seconds: Interval at which the progress is recorded.

    Raises:
        DataError: Items cannot be read. From the first one on, the rest is only read, and no
            progress is recorded any more.
    """
    start, writer = work.done[unit], work.writers[unit]
    before = reader.rows_before(start)
    if 0 < start < len(reader):
        logger.info("%s: continuing at batch %d of %d", unit, start + 1, len(reader))
    watch, failures, recorded = Stopwatch(), list[str](), time.monotonic()
    batches = read_batches(
        reader, runtime.dataloader.num_workers, start=start, pin_memory=pin_memory
    )
    shown = phase(unit, writer.rows, unit.removesuffix("s"), initial=before)
    with closing(batches), shown as progress:
        for number in range(start, len(reader)):
            with watch.time("reader"):
                batch = next(batches)
            progress.update(len(batch.rows))
            for failure in batch.failures:
                # Each of them, at once: the error at the end names only the first ones.
                logger.warning("%s", failure)
            failures += batch.failures
            if failures:
                continue
            with watch.time("mapper"):
                features = mapper(batch)
            with watch.time("writer"):
                writer.write(batch.rows, features)
                if time.monotonic() - recorded >= shard_seconds or number + 1 == len(reader):
                    work.record(unit, number + 1)
                    recorded = time.monotonic()
    if failures:
        raise unreadable(failures)
    if start < len(reader):
        logger.info("%s", watch.report(writer.rows - before, unit))
