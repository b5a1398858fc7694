"""Mapper: batches of inputs to batches of embeddings."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.reader import Batch
from siglip2_multimodal_hash.features.towers import Towers

FloatArray = npt.NDArray[np.float32]


class Mapper:
    """One tower as a function from batches to arrays; picklable.

    Args:
        encode: :meth:`.Towers.encode_images` or :meth:`.Towers.encode_tokens`.
    """

    def __init__(self, encode: Callable[[Inputs], Tensor]) -> None:
        self._encode = encode

    def __call__(self, batch: Batch) -> FloatArray:
        """float32 [R, D]: the embeddings of the batch's rows.

        Raises:
            ValueError: An item of the batch could not be read.
        """
        if batch.inputs is None:
            raise ValueError("the batch holds items that could not be read")
        features: FloatArray = self._encode(batch.inputs).cpu().numpy()
        return features[batch.items]


def encode_texts(towers: Towers, texts: Sequence[str], batch_size: int) -> FloatArray:
    """A few texts at once, float32 [n, D_t]."""
    chunks = (texts[start : start + batch_size] for start in range(0, len(texts), batch_size))
    return np.concatenate([towers.encode_texts(chunk).cpu().numpy() for chunk in chunks])
