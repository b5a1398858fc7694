"""Reader: images and texts from where they lie to the towers' inputs, in order, by threads.

Threads, not processes: decoding, resizing and NumPy's arithmetic release the interpreter lock;
there is nothing to import again, no shared memory to fill (containers often allow 64 MB) and no
fork beside an initialised CUDA.
"""

import math
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.images import ImageSource, explained_memory
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.preprocessing import ImagePreprocessor, Inputs, Tokenizer

SHOWN_FAILURES = 10


@dataclass(frozen=True, eq=False)
class Batch:
    """B items, ready for a tower.

    Attributes:
        inputs: Of the B items; None where one of them could not be read.
        rows: int64 [R], the rows of the output that they fill.
        items: int64 [R]: row ``rows[r]`` gets the embedding of item ``items[r]``.
        failures: A message for each item that could not be read.
    """

    inputs: Inputs | None
    rows: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    failures: tuple[str, ...] = ()

    def pinned(self) -> "Batch":
        """The same in page-locked memory, for a quick copy to a GPU."""
        inputs = self.inputs and {name: v.pin_memory() for name, v in self.inputs.items()}
        return Batch(inputs, self.rows, self.items, self.failures)


class Reader(Protocol):
    """Item i is the i-th batch; picklable, so that any engine can send it to its workers."""

    def __len__(self) -> int: ...

    def rows_before(self, number: int) -> int:
        """Number of rows that the batches before this one fill."""

    def __getitem__(self, number: int) -> Batch: ...


class ImageReader:
    """The :class:`Reader` of a dataset's images; row i is the i-th file."""

    def __init__(
        self,
        images: ImageSource,
        file_names: Sequence[str],
        preprocess: ImagePreprocessor,
        batch_size: int,
    ) -> None:
        self._images = images
        self._file_names = tuple(file_names)
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def __len__(self) -> int:
        return math.ceil(len(self._file_names) / self._batch_size)

    def rows_before(self, number: int) -> int:
        """See :class:`Reader`."""
        return min(number * self._batch_size, len(self._file_names))

    def __getitem__(self, number: int) -> Batch:
        start = number * self._batch_size
        names = self._file_names[start : start + self._batch_size]
        pictures, failures = [], []
        for name in names:
            try:
                # zipfile's handles are not safe to share between threads before Python 3.13.
                with self._lock:
                    data = self._images.read(name)
                pictures.append(self._images.decode(data, name))
            except DataError as error:
                failures.append(str(error).splitlines()[0])
        items = np.arange(len(names), dtype=np.int64)
        inputs = None
        if not failures:
            sizes = {name: one.size for name, one in zip(names, pictures, strict=True)}
            largest = max(sizes, key=lambda name: sizes[name][0] * sizes[name][1])
            with explained_memory(largest, sizes[largest]):
                inputs = self._preprocess(pictures)
        return Batch(inputs, start + items, items, tuple(failures))


class TextReader:
    """The :class:`Reader` of M texts; texts that are equal but for case are read once.

    Attributes:
        distinct: The distinct texts, by first occurrence.
    """

    def __init__(self, texts: Sequence[str], tokenize: Tokenizer, batch_size: int) -> None:
        numbers: dict[str, int] = {}
        item_of_row = [numbers.setdefault(text.lower(), len(numbers)) for text in texts]
        self.distinct = list(numbers)
        self._rows = np.argsort(np.array(item_of_row, dtype=np.int64), kind="stable")
        counts = np.bincount(item_of_row, minlength=len(self.distinct))
        self._ends = np.concatenate([[0], np.cumsum(counts)])
        self._tokenize = tokenize
        self._batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.distinct) / self._batch_size)

    def rows_before(self, number: int) -> int:
        """See :class:`Reader`."""
        return int(self._ends[min(number * self._batch_size, len(self.distinct))])

    def __getitem__(self, number: int) -> Batch:
        start = number * self._batch_size
        texts = self.distinct[start : start + self._batch_size]
        bounds = self._ends[start : start + len(texts) + 1]
        items = np.repeat(np.arange(len(texts), dtype=np.int64), np.diff(bounds))
        return Batch(self._tokenize(texts), self._rows[bounds[0] : bounds[-1]], items)


def read_batches(
    reader: Reader, workers: int, *, start: int = 0, pin_memory: bool = False
) -> Generator[Batch, None, None]:
    """All batches in order, or those from one on.

    Args:
        reader: Reader of the batches.
        workers: Threads that read ahead, each by up to two batches; 0 reads in this one.
        start: The number of the first batch.
        pin_memory: Put the inputs in page-locked memory.
    """

    def read(number: int) -> Batch:
        batch = reader[number]
        return batch.pinned() if pin_memory else batch

    if workers == 0:
        yield from map(read, range(start, len(reader)))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="reader")
    ahead: deque[Future[Batch]] = deque()
    try:
        for number in range(start, len(reader)):
            ahead.append(pool.submit(read, number))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def unreadable(failures: Sequence[str]) -> DataError:
    """The one error about all items that could not be read."""
    shown = "\n  ".join(failures[:SHOWN_FAILURES])
    more = len(failures) - SHOWN_FAILURES
    rest = f"\n  and {more} more" if more > 0 else ""
    return DataError(
        f"{len(failures)} of the images cannot be read:\n  {shown}{rest}",
        "fetch these files again, then run again; or set dataset.on_corrupt to drop, which leaves "
        "them out",
    )
