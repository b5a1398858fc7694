"""In which precision to compute."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import PrecisionName


@dataclass(frozen=True)
class Precision:
    """Mixed precision of one fit: the low dtype, or None for plain float32.

    float16 has too few exponent bits for small gradients, so it alone needs a loss scale.
    """

    device: torch.device
    dtype: torch.dtype | None

    @property
    def scaled(self) -> bool:
        """Whether gradients need a loss scale."""
        return self.dtype is torch.float16

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Run the block's matrix products in the low dtype."""
        if self.dtype is None:
            yield
            return
        with torch.autocast(self.device.type, dtype=self.dtype):
            yield


def choose_precision(name: PrecisionName, device: torch.device) -> Precision:
    """The precision behind ``training.mixed_precision``.

    ``auto`` is float16 with a loss scale on CUDA and off on the CPU.

    Raises:
        InputError: The device cannot compute in the dtype that is asked for.
    """
    if name == "off" or (name == "auto" and device.type == "cpu"):
        return Precision(device, None)
    if name == "bfloat16":
        if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise InputError(
                "training.mixed_precision = bfloat16: this card has no bfloat16 arithmetic",
                "set training.mixed_precision to float16 or off",
            )
        return Precision(device, torch.bfloat16)
    if device.type == "cpu":
        raise InputError(
            "training.mixed_precision = float16: only possible on CUDA, and this fit runs on cpu",
            "set training.mixed_precision to auto, bfloat16 or off",
        )
    return Precision(device, torch.float16)
