"""The Ray engine: Ray Data hands the numbers of batches to workers, which read and map them.

Each worker loads the towers once and computes with the same code, libraries, device and number of
threads as this process would, or the run is refused: so the bytes are those of the local engine.
Only this process writes; results are taken as they finish and kept nowhere. A worker that dies is
started again by Ray and gets its batches again. Progress is recorded as in the local engine, so
either engine goes on with what the other one began.

The images must lie at the same path on every machine.
"""

import logging
import os
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.engines.pipeline import Encode, Pipeline
from siglip2_multimodal_hash.features.engines.ray_cluster import connected, count_workers
from siglip2_multimodal_hash.features.engines.ray_progress import Progress
from siglip2_multimodal_hash.features.engines.ray_worker import (
    NUMBER,
    Job,
    Result,
    Worker,
    unpacked,
)
from siglip2_multimodal_hash.features.meta import computed_by
from siglip2_multimodal_hash.features.reader import Reader, unreadable
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.features.writer import UnfinishedEmbeddings
from siglip2_multimodal_hash.kernels import PINNED_ENVIRONMENT
from siglip2_multimodal_hash.params import DeviceName, RuntimeParams

logger = logging.getLogger(__name__)

# Batches that a worker gets at once: enough to read ahead, few enough to share the end fairly.
BLOCK = 8
# One call computes while the next one reads.
CALLS = 2
EXECUTOR_SECONDS = 60.0


class RayEngine:
    """The :class:`.Pipeline` on Ray Data.

    Args:
        towers: On the device that the workers are to use, too; moved to the CPU to be sent.
        runtime: Address and number of workers, threads that read.
        shard_seconds: Interval at which the progress is recorded.
        stack: Closes Ray in the end; it starts with the first batch that is not done.
    """

    def __init__(
        self, towers: Towers, runtime: RuntimeParams, shard_seconds: float, stack: ExitStack
    ) -> None:
        self._made_by = computed_by(towers.device)
        self._device: DeviceName = "cuda" if towers.device.type == "cuda" else "cpu"
        cpu = torch.device("cpu")
        self._towers = replace(towers, model=towers.model.to(cpu), device=cpu)
        self._runtime = runtime
        self._shard_seconds = shard_seconds
        self._stack = stack
        self._ray: tuple[ModuleType, int] | None = None

    def __call__(
        self, reader: Reader, encode: Encode, work: UnfinishedEmbeddings, unit: str
    ) -> None:
        """See :class:`.Pipeline`.

        Raises:
            InputError: A worker cannot compute as this process does, or cannot read the images
                that this process can; or see :func:`.ray_cluster.connected`.
        """
        with Progress(reader, work, unit, self._shard_seconds) as progress:
            missing = len(progress.missing())
            if missing == 0:
                return
            ray, workers = self._connected()
            # One that gets a call's worth of work at most would take longer to start.
            workers = min(workers, max(1, missing // CALLS))
            job = self._job(reader, encode, unit)
            self._pass(ray, job, workers, progress)
            if progress.failures:
                # Embeddings would be of no use from now on: the rest is only read.
                self._pass(ray, replace(job, towers=None), workers, progress)
            progress.record()
            if progress.failures:
                raise unreadable([m for _, ms in sorted(progress.failures.items()) for m in ms])
            progress.report(workers)

    def _connected(self) -> tuple[ModuleType, int]:
        """Ray and the workers that have room; counted once, as Ray is slow to see CPUs go free."""
        if self._ray is None:
            embed, threads = self._runtime.embed, torch.get_num_threads()
            size = sum(v.nbytes for v in self._towers.model.parameters())
            cpus = max(1, embed.ray_workers) * threads
            ray = self._stack.enter_context(connected(embed, cpus, size))
            cuda = self._device == "cuda"
            self._ray = ray, count_workers(ray, embed, cuda=cuda, threads=threads)
        return self._ray

    def _job(self, reader: Reader, encode: Encode, unit: str) -> Job:
        return Job(
            reader=reader,
            unit=unit,
            encode=encode,
            towers=self._towers,
            device=self._device,
            made_by=self._made_by,
            compute_threads=torch.get_num_threads(),
            reader_threads=self._runtime.dataloader.num_workers,
            folder=os.getcwd(),
        )

    def _pass(self, ray: ModuleType, job: Job, workers: int, progress: Progress) -> None:
        """Hand out what is missing; with towers, until something cannot be read."""
        checked: set[str] = set()
        with closing(self._results(ray, job, workers, progress.missing())) as results:
            for result in results:
                if result.problem:
                    raise InputError(result.problem)
                if result.failures and result.node not in checked:
                    checked.add(result.node)
                    _check_here(job.reader, result)
                progress.take(result)
                if progress.failures and job.towers is not None:
                    break

    def _results(
        self, ray: ModuleType, job: Job, workers: int, numbers: Sequence[int]
    ) -> Generator[Result, None, None]:
        """The results of these batches, as they finish."""
        size = min(BLOCK, max(1, len(numbers) // (4 * workers)))
        blocks = -(-len(numbers) // size)
        data = ray.data.from_items(
            [{NUMBER: number} for number in numbers], override_num_blocks=blocks
        )
        # Ray Data sets the level of its log when the first data set is made.
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        data.context.enable_progress_bars = False
        data.context.print_on_execution_start = False
        reference = ray.put(job)
        results = data.map_batches(
            Worker,
            fn_constructor_args=(reference,),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(
                size=workers,
                max_concurrent_calls_per_actor=CALLS,
                enable_true_multi_threading=True,
            ),
            **self._resources(),
        )
        # Not iter_batches: its threads would still call Ray after it has been shut down, and that
        # ends the process.
        bundles = results.iter_internal_ref_bundles()
        try:
            for bundle in bundles:
                for block in bundle.blocks:
                    yield from unpacked(ray.get(block.ref))
        finally:
            # Collected, it stops its workers.
            del bundles
            _await_executors()

    def _resources(self) -> dict[str, Any]:
        """Resources of a worker, and the settings that its libraries read when they load.

        Ray would set OMP_NUM_THREADS to the CPUs of the worker, and sums are split by thread.
        """
        cuda = self._device == "cuda"
        pinned = {name: os.environ[name] for name in PINNED_ENVIRONMENT if name in os.environ}
        return {
            "num_cpus": 1 if cuda else torch.get_num_threads(),
            "num_gpus": 1 if cuda else 0,
            "runtime_env": {"env_vars": pinned},
        }


@contextmanager
def ray_engine(towers: Towers, runtime: RuntimeParams, shard_seconds: float) -> Iterator[Pipeline]:
    """See :func:`.engines.open_engine`."""
    with ExitStack() as stack:
        yield RayEngine(towers, runtime, shard_seconds, stack)


def _await_executors() -> None:
    """Wait until Ray Data's thread has ended, soon after: Ray itself waits for no more than 2 s."""
    for thread in threading.enumerate():
        if thread.name.startswith("StreamingExecutor"):
            thread.join(EXECUTOR_SECONDS)


def _check_here(reader: Reader, result: Result) -> None:
    """Check that the images are at fault, not the machine.

    Raises:
        InputError: They can be read here.
    """
    here = reader[result.number].failures
    if set(result.failures) - set(here):
        first = next(failure for failure in result.failures if failure not in here)
        raise InputError(
            f"{result.node} cannot read what can be read here: {first}",
            "images must lie at the same path on every machine of the cluster (a shared file "
            "system, or a copy)",
        ) from DataError(first)
