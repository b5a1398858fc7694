"""Refuse a tuning that the memory cannot hold, before it starts, and say what to lower."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from siglip2_multimodal_hash.device import out_of_memory
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.training.tuning.needs import (
    GIB,
    Load,
    TuningNeeds,
    estimate,
    largest_batch,
    with_checkpointing,
)
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings

# Limit, usage, what of the usage is page cache and under which name: of version 2 and version 1.
_CGROUPS = (
    ("memory.max", "memory.current", "memory.stat", "file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_cache",
    ),
)


def free_memory(device: torch.device) -> int:
    """Bytes that this process may still take: of the card, or of the main memory."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min([_available_ram(), *_free_in_container(Path("/sys/fs/cgroup"))])


def require_memory(load: Load, free: int, settings: TuneSettings) -> TuningNeeds:
    """The needs of a load that fits.

    Raises:
        InputError: It does not; the message gives the estimate part by part, and what would fit.
    """
    needs = estimate(load)
    if needs.total <= free:
        return needs
    where = "the card" if load.cuda else "the main memory"
    raise InputError(
        f"backbone.tune = {settings.mode} with tune.batch_size = {load.batch} needs about {needs}, "
        f"and {where} has {free / GIB:.2f} GiB free",
        _remedy(load, free, settings),
    )


@contextlib.contextmanager
def explained_out_of_memory(load: Load) -> Iterator[None]:
    """Turn a lack of memory that the estimate did not foresee into the same kind of message.

    Raises:
        InputError: PyTorch ran out of memory in the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise InputError(
            f"out of memory with tune.batch_size = {load.batch}, where {estimate(load)} was "
            f"expected: {str(error).splitlines()[0]}",
            "lower tune.batch_size and raise tune.accumulation_steps by the same factor, or set "
            "backbone.gradient_checkpointing to true; the preset rtx5080-16gb-emergency does both",
        ) from None


def _remedy(load: Load, free: int, settings: TuneSettings) -> str:
    ways: list[str] = []
    if batch := largest_batch(load, free):
        ways.append(f"lower tune.batch_size to {batch} (and raise tune.accumulation_steps)")
    lighter = with_checkpointing(load)
    if not load.checkpointing and (batch := largest_batch(lighter, free)):
        at_most = "" if batch >= load.batch else f" with tune.batch_size = {batch} or less"
        ways.append(
            f"set backbone.gradient_checkpointing to true{at_most} "
            f"(then about {estimate(replace(lighter, batch=min(batch, load.batch)))})"
        )
    if settings.mode == "full" and largest_batch(replace(load, trained=0), free):
        ways.append("set backbone.tune to lora, which has no gradients of the towers' own weights")
    if not ways:
        ways.append("choose a smaller backbone.checkpoint, or a machine with more memory")
    return ", or ".join(ways)


def _free_in_container(root: Path) -> list[int]:
    """What a container's limit leaves; empty where there is none. Page cache counts as free."""
    found = []
    for limit, usage, statistics, cache in _CGROUPS:
        with contextlib.suppress(OSError, ValueError, KeyError):  # no limit reads as `max`
            allowed, used = (int((root / n).read_text(encoding="ascii")) for n in (limit, usage))
            lines = (root / statistics).read_text(encoding="ascii").splitlines()
            found.append(allowed - used + int(dict(line.split() for line in lines)[cache]))
    return found


def _available_ram() -> int:
    """What the system can give without swapping; all of it where it does not tell."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
