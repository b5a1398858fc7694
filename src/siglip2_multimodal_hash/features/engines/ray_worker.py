"""Code of each Ray worker: the same reader and mapper as in the local engine.

Every batch comes back as one row of an Arrow table; errors are values in it, so that Ray neither
retries them nor wraps them.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.backoff import BackingOff
from siglip2_multimodal_hash.features.engines.pipeline import Encode
from siglip2_multimodal_hash.features.mapper import Mapper
from siglip2_multimodal_hash.features.meta import computed_by
from siglip2_multimodal_hash.features.reader import Batch, Reader, read_batches
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.params import DeviceName

NUMBER = "number"
_SCHEMA = pa.schema(
    {
        NUMBER: pa.int64(),
        "rows": pa.large_binary(),
        "features": pa.large_binary(),
        "width": pa.int64(),
        "failures": pa.large_string(),
        "problem": pa.large_string(),
        "node": pa.large_string(),
        "seconds": pa.float64(),
    }
)


@dataclass(frozen=True, eq=False)
class Job:
    """Inputs of a worker that embeds batches of one unit; picklable.

    Attributes:
        reader: Items to embed.
        unit: Name of the items.
        encode: The tower.
        towers: On the CPU; None to read only.
        device: Device that computes.
        made_by: Fingerprint of the driver, see :func:`..meta.computed_by`.
        compute_threads: PyTorch's, as in the driver: sums are split by thread.
        reader_threads: See :func:`.read_batches`.
        folder: The driver's working folder, to which relative paths of images refer.
    """

    reader: Reader
    unit: str
    encode: Encode
    towers: Towers | None
    device: DeviceName
    made_by: dict[str, Any]
    compute_threads: int
    reader_threads: int
    folder: str


@dataclass(frozen=True, eq=False)
class Result:
    """Outcome of one batch.

    Attributes:
        number: Of the batch.
        rows: int64 [R], the rows of the output.
        features: float32 [R, D]; R = 0 where there are none.
        failures: A message for each item that could not be read.
        problem: Reason why the worker cannot do anything at all, or "".
        node: The worker's machine and process.
        seconds: Time that the tower took.
    """

    number: int
    rows: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]
    failures: tuple[str, ...]
    problem: str
    node: str
    seconds: float


class Worker:
    """Embeds the batches whose numbers come in; calls may overlap.

    One call then reads while the other computes. The tower runs in one thread of its own, whose
    number of OpenMP threads is set.

    Args:
        job: A Ray reference to a :class:`Job`.
    """

    def __init__(self, job: Any) -> None:
        import ray

        self._job: Job = ray.get(job)
        self._node = f"{socket.gethostname()} (process {os.getpid()})"
        self._problem = ""
        self._mapper: Mapper | None = None
        # A folder that is not there shows in the images, by name.
        with suppress(OSError):
            os.chdir(self._job.folder)
        self._compute = ThreadPoolExecutor(1, "tower")
        if self._job.towers is not None:
            try:
                self._mapper = self._compute.submit(self._load, self._job.towers).result()
            except InputError as error:
                self._problem = f"{self._node}: {error}"

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """One table of one row for each batch whose number is in ``table``."""
        numbers = table.column(NUMBER).to_pylist()
        if self._problem:
            for number in numbers:
                yield self._packed(number, problem=self._problem)
            return
        reader = _Some(self._job.reader, numbers)
        pin = self._mapper is not None and self._job.device == "cuda"
        batches = read_batches(reader, self._job.reader_threads, pin_memory=pin)
        for number in numbers:
            try:
                batch = next(batches)
                if self._mapper is None or batch.failures:
                    yield self._packed(number, failures=batch.failures)
                    continue
                features, seconds = self._compute.submit(_timed, self._mapper, batch).result()
            except InputError as error:
                yield self._packed(number, problem=f"{self._node}: {error}")
                return
            yield self._packed(number, rows=batch.rows, features=features, seconds=seconds)

    def _load(self, towers: Towers) -> Mapper:
        """Called in the thread that computes: OpenMP counts threads for each of its callers."""
        torch.set_num_threads(self._job.compute_threads)
        device = choose_device(self._job.device)
        here, there = computed_by(device), self._job.made_by
        differing = [f"{k}: {here[k]} here, {there[k]} there" for k in here if here[k] != there[k]]
        if differing:
            raise InputError(
                f"it differs from the machine that the stage runs on ({differing[0]})",
                "install the same versions on all machines, and let Ray use devices of one kind",
            )
        moved = replace(towers, model=towers.model.to(device), device=device)
        return Mapper(BackingOff(partial(self._job.encode, moved), self._job.unit))

    def _packed(
        self,
        number: int,
        *,
        rows: npt.NDArray[np.int64] | None = None,
        features: npt.NDArray[np.float32] | None = None,
        failures: Sequence[str] = (),
        problem: str = "",
        seconds: float = 0.0,
    ) -> pa.Table:
        width = 0 if features is None else features.shape[1]
        values = {
            NUMBER: number,
            "rows": b"" if rows is None else rows.tobytes(),
            "features": b"" if features is None else features.tobytes(),
            "width": width,
            "failures": json.dumps(list(failures)),
            "problem": problem,
            "node": self._node,
            "seconds": seconds,
        }
        return pa.Table.from_pylist([values], schema=_SCHEMA)


def unpacked(table: pa.Table) -> Iterator[Result]:
    """The results in what a :class:`Worker` gave."""
    for row in table.to_pylist():
        features = np.frombuffer(row["features"], np.float32)
        yield Result(
            number=row[NUMBER],
            rows=np.frombuffer(row["rows"], np.int64),
            features=features.reshape(-1, max(1, row["width"])),
            failures=tuple(json.loads(row["failures"])),
            problem=row["problem"],
            node=row["node"],
            seconds=row["seconds"],
        )


class _Some:
    """The :class:`.Reader` of some batches of another one."""

    def __init__(self, reader: Reader, numbers: Sequence[int]) -> None:
        self._reader = reader
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def rows_before(self, number: int) -> int:
        """See :class:`.Reader`; of the other one."""
        return self._reader.rows_before(self._numbers[number])

    def __getitem__(self, number: int) -> Batch:
        return self._reader[self._numbers[number]]


def _timed(mapper: Mapper, batch: Batch) -> tuple[npt.NDArray[np.float32], float]:
    began = time.perf_counter()
    return mapper(batch), time.perf_counter() - began
