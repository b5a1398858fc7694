"""Images, captions and labels of a split, as the towers take them."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from siglip2_multimodal_hash.arrays import Rows
from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.reader import ImageReader, read_batches, unreadable
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.training.data import NO_IMAGE


@dataclass(frozen=True, eq=False)
class Split:
    """n images with one or more captions each.

    Raises:
        DataError: There is no image.
    """

    files: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]
    labels: Tensor  # float32 [n, C] of 0 and 1

    def __post_init__(self) -> None:
        if not self.files:
            raise DataError("the towers cannot be tuned: a split has no image", NO_IMAGE)

    def __len__(self) -> int:
        return len(self.files)

    @classmethod
    def of(cls, index: DatasetIndex, split: Literal["train", "val"]) -> Self:
        """A split of the dataset, in the order of the index."""
        rows = index.rows(split)
        frame = index.frame.iloc[rows]
        return cls(
            files=tuple(frame["file_name"]),
            captions=tuple(tuple(captions) for captions in frame["captions"]),
            labels=torch.from_numpy(index.labels()[rows].astype(np.float32)),
        )

    def first(self, count: int, generator: torch.Generator) -> "Split":
        """Subset of ``count`` images, drawn at random; all of them where there are fewer."""
        rows = torch.randperm(len(self), generator=generator)[:count].sort().values.tolist()
        return Split(
            files=tuple(self.files[row] for row in rows),
            captions=tuple(self.captions[row] for row in rows),
            labels=self.labels[rows],
        )

    def one_caption(self) -> "Split":
        """Copy with only the first caption of each image."""
        return Split(self.files, tuple(captions[:1] for captions in self.captions), self.labels)

    def all_captions(self) -> list[str]:
        """Captions in the order of the images."""
        return list(chain.from_iterable(self.captions))

    def caption_offsets(self) -> Rows:
        """int64 [n + 1]: image i has :meth:`all_captions` from ``[i]`` to ``[i + 1]``."""
        counts = [len(captions) for captions in self.captions]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Epoch:
    """The order of an epoch's images and the caption drawn for each, from a seed alone."""

    files: tuple[str, ...]
    captions: tuple[str, ...]
    labels: Tensor  # float32 [n, C]

    @classmethod
    def draw(cls, split: Split, seed: int) -> Self:
        """Shuffle a split and draw one caption of each image, uniformly."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(split), generator=generator).tolist()
        uniform = torch.rand(len(split), generator=generator, dtype=torch.float64).tolist()
        # uniform < 1 in steps of 2^-53, so that the product stays below the count.
        drawn = [
            int(u * len(captions)) for u, captions in zip(uniform, split.captions, strict=True)
        ]
        return cls(
            files=tuple(split.files[row] for row in order),
            captions=tuple(split.captions[row][drawn[row]] for row in order),
            labels=split.labels[order],
        )


def batch_count(samples: int, size: int) -> int:
    """Whole batches of an epoch; a split that is smaller than one makes one."""
    return max(1, samples // size)


@dataclass(frozen=True, eq=False)
class PairBatch:
    """B pairs, ready for the towers."""

    images: Inputs
    captions: Inputs
    labels: Tensor  # float32 [B, C]


def pair_batches(
    source: ImageSource, epoch: Epoch, towers: Towers, size: int, workers: int
) -> Generator[PairBatch, None, None]:
    """The batches of an epoch, images read ahead by threads.

    Raises:
        DataError: Images of a batch cannot be read.
    """
    count = min(batch_count(len(epoch.files), size) * size, len(epoch.files))
    reader = ImageReader(source, epoch.files[:count], towers.preprocess, size)
    batches = read_batches(reader, workers, pin_memory=towers.device.type == "cuda")
    with closing(batches):
        for number, batch in enumerate(batches):
            if batch.inputs is None:
                raise unreadable(batch.failures)
            rows = slice(number * size, min((number + 1) * size, count))
            yield PairBatch(batch.inputs, towers.tokenize(epoch.captions[rows]), epoch.labels[rows])
