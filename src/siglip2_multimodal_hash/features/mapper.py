"""Mapper: batches of inputs to batches of embeddings."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.features.reader import ReadBatch
from siglip2_multimodal_hash.features.towers import Towers

FloatArray = npt.NDArray[np.float32]


class Mapper:
    """The towers as functions from batches to arrays.

    Args:
        towers: Loaded and frozen.
        batch_size: Texts at a time; images come in the reader's batches.
    """

    def __init__(self, towers: Towers, batch_size: int) -> None:
        self._towers = towers
        self._batch_size = batch_size

    def image_features(self, batch: ReadBatch) -> FloatArray:
        """float32 [B, D] of a batch without failures."""
        if batch.inputs is None:
            raise ValueError("the batch holds images that could not be read")
        features: FloatArray = self._towers.encode_images(batch.inputs).cpu().numpy()
        return features

    def text_batches(self, texts: Sequence[str]) -> Iterator[tuple[int, FloatArray]]:
        """The texts' features in order, as (row of the first, float32 [B, D])."""
        for start in range(0, len(texts), self._batch_size):
            chunk = texts[start : start + self._batch_size]
            yield start, self._towers.encode_texts(chunk).cpu().numpy()

    def text_features(self, texts: Sequence[str]) -> FloatArray:
        """float32 [n, D]."""
        return np.concatenate([features for _, features in self.text_batches(texts)])
