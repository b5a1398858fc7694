"""Smaller batches where memory runs out, instead of the end of the run."""

import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from siglip2_multimodal_hash.device import out_of_memory
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.preprocessing import Inputs

logger = logging.getLogger(__name__)

Encode = Callable[[Inputs], Tensor]


class BackingOff:
    """An encoder that halves what it takes at once when memory runs out; picklable.

    The batches stay as they are read, so the progress of a run stays valid; each is only computed
    in parts. A part may sum in another order than the whole: the last bits of the floats can
    differ from a run whose memory sufficed, as with any other ``embed_batch_size``. So the bytes
    of such a run are those of the next one only where memory runs out at the same batch again;
    to fix them, set ``runtime.dataloader.embed_batch_size`` to the size that held.

    Args:
        encode: Inputs of B items to float32 [B, D].
        unit: Name of the items.
    """

    def __init__(self, encode: Encode, unit: str) -> None:
        self._encode = encode
        self._unit = unit
        self._most: int | None = None
        self._tried = False

    def __call__(self, inputs: Inputs) -> Tensor:
        """float32 [B, D], as ``encode`` gives it.

        Raises:
            InputError: Memory does not suffice for one item at a time.
        """
        size = len(next(iter(inputs.values())))
        while True:
            most = size if self._most is None else min(size, self._most)
            try:
                features = self._in_parts(inputs, size, most)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
            else:
                if self._tried:
                    logger.warning("%s: %d at once fit", self._unit, most)
                    self._tried = False
                return features
            # Outside of the handler: the error holds on to the tensors of the attempt.
            self._halve(most)

    def _in_parts(self, inputs: Inputs, size: int, most: int) -> Tensor:
        if most == size:
            return self._encode(inputs)
        return torch.cat([self._encode(part) for part in _parts(inputs, size, most)])

    def _halve(self, most: int) -> None:
        if most == 1:
            raise InputError(
                f"{self._unit}: out of memory even with one at a time",
                "stop other programs on the device, or set runtime.device to cpu; less memory is "
                "needed with a smaller backbone.max_num_patches (NaFlex), with "
                "backbone.amp_dtype: bfloat16, and with a smaller "
                "runtime.dataloader.embed_batch_size: `smhash use rtx5080-16gb-emergency` sets all",
            )
        self._most, self._tried = most // 2, True
        logger.warning(
            "%s: out of memory with %d at once, continuing with %d "
            "(runtime.dataloader.embed_batch_size)",
            self._unit,
            most,
            self._most,
        )


def _parts(inputs: Inputs, size: int, most: int) -> Iterator[Inputs]:
    for start in range(0, size, most):
        yield {name: values[start : start + most] for name, values in inputs.items()}
