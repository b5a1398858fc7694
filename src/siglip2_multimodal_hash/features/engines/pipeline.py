"""Work common to every engine: read, map and write the batches of one unit."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.reader import Reader
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.features.writer import UnfinishedEmbeddings

# Towers.encode_images or Towers.encode_tokens: unbound, as an engine may put the towers elsewhere.
Encode = Callable[[Towers, Inputs], Tensor]


class Pipeline(Protocol):
    """Reader -> mapper -> writer, over the batches that are not done; the bytes do not depend on
    the engine.
    """

    def __call__(
        self, reader: Reader, encode: Encode, work: UnfinishedEmbeddings, unit: str
    ) -> None:
        """Embed one unit.

        Args:
            reader: Items to embed.
            encode: The tower.
            work: Unfinished output that takes them, with its progress.
            unit: Name of the items: ``images`` or ``captions``.

        Raises:
            DataError: Items cannot be read; all of them are found first. Or a tower gives NaN.
        """
