"""Watch the memory of the card against what the card really has; silent on the CPU."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Protocol

import torch

from siglip2_multimodal_hash.device import out_of_memory
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import MemoryParams

logger = logging.getLogger(__name__)

GIB = 2**30
EMERGENCY_PRESET = "rtx5080-16gb-emergency"


class MemoryProbe(Protocol):
    """What the watch needs to know of a device, in bytes."""

    def allocated(self) -> int:
        """Held by tensors now."""

    def reserved(self) -> int:
        """Taken from the card by PyTorch now, cache included."""

    def peak(self) -> int:
        """Most that was ever reserved."""

    def capacity(self) -> int:
        """Memory of the card."""

    def release_cache(self) -> None:
        """Give the cached, unused memory back to the card."""


class CudaProbe:
    """The probe of a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def allocated(self) -> int:
        return torch.cuda.memory_allocated(self._device)

    def reserved(self) -> int:
        return torch.cuda.memory_reserved(self._device)

    def peak(self) -> int:
        return torch.cuda.max_memory_reserved(self._device)

    def capacity(self) -> int:
        return int(torch.cuda.get_device_properties(self._device).total_memory)

    def release_cache(self) -> None:
        torch.cuda.empty_cache()


def probe_of(device: torch.device) -> MemoryProbe | None:
    """The probe of ``device``; None on the CPU."""
    return CudaProbe(device) if device.type == "cuda" else None


class MemoryWatch:
    """Log, warn and release at the updates that ``runtime.memory`` names.

    Args:
        params: The ``runtime.memory`` section.
        probe: None switches the watch off.
        every: Updates between two looks.
    """

    def __init__(self, params: MemoryParams, probe: MemoryProbe | None, every: int) -> None:
        self._params = params
        self._probe = probe
        self._every = every
        self._alerted = False

    def after_update(self, update: int) -> None:
        """Call after each update, counted from 1 over the whole run."""
        if self._probe is None:
            return
        if update % self._every == 0:
            self._look(self._probe, update)
        interval = self._params.empty_cache_steps
        if interval and update % interval == 0:
            self._probe.release_cache()

    def _look(self, probe: MemoryProbe, update: int) -> None:
        reserved, capacity = probe.reserved(), probe.capacity()
        if self._params.log_gpu_memory:
            logger.info(
                "update %d: GPU memory %.2f GiB allocated, %.2f reserved, %.2f peak, of %.2f",
                update,
                probe.allocated() / GIB,
                reserved / GIB,
                probe.peak() / GIB,
                capacity / GIB,
            )
        above = reserved >= self._params.alert_vram_fraction * capacity
        # Once each time the line is crossed, not at every look above it.
        if above and not self._alerted:
            logger.warning(
                "update %d: %.0f%% of the card's %.2f GiB are reserved "
                "(runtime.memory.alert_vram_fraction = %g); lower training.batch_size",
                update,
                100 * reserved / capacity,
                capacity / GIB,
                self._params.alert_vram_fraction,
            )
        self._alerted = above


@contextlib.contextmanager
def explained_out_of_memory(batch_size: int) -> Iterator[None]:
    """Turn the device's lack of memory into a message that names the parameter.

    Raises:
        InputError: PyTorch ran out of memory in the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise InputError(
            f"out of memory with training.batch_size = {batch_size}: {str(error).splitlines()[0]}",
            "lower training.batch_size and raise training.accumulation_steps by the same factor, "
            f"or run `smhash use {EMERGENCY_PRESET}`, which does that; narrower "
            "fusion.mlp_dims need less, too, and runtime.device = cpu uses the machine's memory",
        ) from None
