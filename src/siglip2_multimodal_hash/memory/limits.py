"""Memory that there is, tests of what fits it, and the message where it runs out."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from siglip2_multimodal_hash.device import out_of_memory
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import size_text
from siglip2_multimodal_hash.params import MemoryParams

logger = logging.getLogger(__name__)

EMERGENCY_PRESET = "rtx5080-16gb-emergency"

# The rest is for the network, its optimiser, the activations and everybody else.
MOST_OF_CARD, MOST_OF_MEMORY = 0.7, 0.6

_CGROUPS = Path("/sys/fs/cgroup")
# Files of the limit, the usage and its parts, and the part that is page cache; version 2, then 1.
_CGROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat", "file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_cache",
    ),
)


def total_memory(cgroups: Path = _CGROUPS) -> int:
    """Main memory of the machine, or the limit of the container."""
    return min([psutil.virtual_memory().total, *(limit for limit, _ in _containers(cgroups))])


def free_memory(device: torch.device, cgroups: Path = _CGROUPS) -> int:
    """Memory that this process may still take: of the card, or main memory without swapping."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min([psutil.virtual_memory().available, *(free for _, free in _containers(cgroups))])


def _containers(root: Path) -> list[tuple[int, int]]:
    """Limit and the rest that it leaves, page cache included; empty where there is no limit."""
    found = []
    for limit, usage, statistics, cache in _CGROUP_FILES:
        with contextlib.suppress(OSError, ValueError, KeyError):  # no limit reads as `max`
            allowed, used = (int((root / n).read_text(encoding="ascii")) for n in (limit, usage))
            lines = (root / statistics).read_text(encoding="ascii").splitlines()
            cached = int(dict(line.split() for line in lines)[cache])
            found.append((allowed, allowed - used + cached))
    return found


def fits_memory(needed: int, cgroups: Path = _CGROUPS) -> bool:
    """Test whether ``needed`` bytes may be copied into this machine's memory."""
    return needed <= MOST_OF_MEMORY * free_memory(torch.device("cpu"), cgroups)


def fits_device(needed: int, device: torch.device) -> bool:
    """Test whether ``needed`` bytes may be copied to ``device``; on the CPU always true."""
    if device.type != "cuda":
        return True
    free = free_memory(device)
    if needed <= MOST_OF_CARD * free:
        return True
    logger.info(
        "the training embeddings (%s) stay in main memory: the card has %s free",
        size_text(needed),
        size_text(free),
    )
    return False


class CudaProbe:
    """Memory of a CUDA device, in bytes."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def allocated(self) -> int:
        """Held by tensors now."""
        return torch.cuda.memory_allocated(self._device)

    def reserved(self) -> int:
        """Taken from the card by PyTorch now, cache included."""
        return torch.cuda.memory_reserved(self._device)

    def peak(self) -> int:
        """Most that was ever reserved."""
        return torch.cuda.max_memory_reserved(self._device)

    def capacity(self) -> int:
        """Memory of the card."""
        return int(torch.cuda.get_device_properties(self._device).total_memory)

    def release_cache(self) -> None:
        """Give the cached, unused memory back to the card."""
        torch.cuda.empty_cache()


class MemoryWatch:
    """Log, warn and release at the updates that ``runtime.memory`` names.

    Args:
        params: The ``runtime.memory`` section.
        probe: None, as on the CPU, switches the watch off.
        every: Updates between two looks.
    """

    def __init__(self, params: MemoryParams, probe: CudaProbe | None, every: int) -> None:
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

    def _look(self, probe: CudaProbe, update: int) -> None:
        reserved, capacity = probe.reserved(), probe.capacity()
        if self._params.log_gpu_memory:
            logger.info(
                "update %d: GPU memory %s allocated, %s reserved, %s peak, of %s",
                update,
                *map(size_text, (probe.allocated(), reserved, probe.peak(), capacity)),
            )
        above = reserved >= self._params.alert_vram_fraction * capacity
        # Once each time the line is crossed, not at every look above it.
        if above and not self._alerted:
            logger.warning(
                "update %d: %.0f%% of the card's %s are reserved "
                "(runtime.memory.alert_vram_fraction = %g); lower training.batch_size",
                update,
                100 * reserved / capacity,
                size_text(capacity),
                self._params.alert_vram_fraction,
            )
        self._alerted = above


@contextlib.contextmanager
def explained_out_of_memory(attempt: str, remedy: str) -> Iterator[None]:
    """Turn a lack of memory into a message that names the parameter.

    Args:
        attempt: Setting that was too large: ``training.batch_size = 4096``.
        remedy: Advice to the user.

    Raises:
        InputError: PyTorch ran out of memory in the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        reason = str(error).splitlines()[0]
        raise InputError(f"out of memory with {attempt}: {reason}", remedy) from None
