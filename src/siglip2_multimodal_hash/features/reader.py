"""Reader: images from their source to the towers' inputs, in order, by several processes."""

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch.utils.data import DataLoader, Dataset

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.towers import Inputs, Preprocessor


@dataclass(frozen=True)
class ReadBatch:
    """Consecutive images, ready for the tower.

    Attributes:
        start: Row of the first.
        inputs: Of all of them; None where one could not be read.
        failures: A message for each image that could not be read.
    """

    start: int
    inputs: Inputs | None
    failures: tuple[str, ...]


class ImageReader(Dataset[ReadBatch]):
    """Item i is the i-th batch; picklable, so that any engine can send it to its workers."""

    def __init__(
        self,
        images: ImageSource,
        file_names: Sequence[str],
        preprocess: Preprocessor,
        batch_size: int,
    ) -> None:
        self._images = images
        self._file_names = tuple(file_names)
        self._preprocess = preprocess
        self._batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self._file_names) // self._batch_size)

    def __getitem__(self, number: int) -> ReadBatch:
        start = number * self._batch_size
        pictures, failures = [], []
        for file_name in self._file_names[start : start + self._batch_size]:
            try:
                pictures.append(self._images.open(file_name))
            except DataError as error:
                failures.append(str(error))
        inputs = None if failures else self._preprocess(pictures)
        return ReadBatch(start, inputs, tuple(failures))


def read_batches(reader: ImageReader, workers: int, *, pin_memory: bool) -> Iterator[ReadBatch]:
    """All batches in order.

    Args:
        reader: What to read.
        workers: Processes that read; 0 reads in this one.
        pin_memory: Put the inputs in page-locked memory, for a quick copy to a GPU.
    """
    # A forked reader starts at once; a spawned one imports torch and transformers first.
    forks = "fork" in multiprocessing.get_all_start_methods()
    loader = DataLoader(
        reader,
        batch_size=None,
        num_workers=workers,
        pin_memory=pin_memory,
        multiprocessing_context="fork" if workers and forks else None,
    )
    yield from loader
