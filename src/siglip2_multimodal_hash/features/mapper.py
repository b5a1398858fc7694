"""Mapper: batches of inputs to batches of embeddings."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.features.preprocessing import Inputs, Tokenizer
from siglip2_multimodal_hash.features.reader import Batch


class Mapper:
    """One tower as a function from batches to arrays; picklable.

    Args:
        encode: :meth:`.Towers.encode_images` or :meth:`.Towers.encode_tokens`, or what wraps it.
    """

    def __init__(self, encode: Callable[[Inputs], Tensor]) -> None:
        self._encode = encode

    def __call__(self, batch: Batch) -> Vectors:
        """float32 [R, D]: the embeddings of the batch's rows.

        Raises:
            ValueError: An item of the batch could not be read.
        """
        if batch.inputs is None:
            raise ValueError("the batch holds items that could not be read")
        features: Vectors = self._encode(batch.inputs).cpu().numpy()
        return features[batch.items]


def encode_texts(
    tokenize: Tokenizer,
    encode: Callable[[Inputs], Tensor],
    texts: Sequence[str],
    batch_size: int,
) -> Vectors:
    """A few texts at once, float32 [n, D_t]."""
    chunks = (texts[start : start + batch_size] for start in range(0, len(texts), batch_size))
    return np.concatenate([encode(tokenize(chunk)).cpu().numpy() for chunk in chunks])
