"""Watch over the main memory and the card's memory of a stage, in a thread."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import psutil

from siglip2_multimodal_hash.files import size_text
from siglip2_multimodal_hash.memory.machine import free_main_memory, total_memory, tree_memory
from siglip2_multimodal_hash.params import MemoryParams

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
LOG_SECONDS = 30.0
# A stage that is over sooner leaves no line.
LONG_SECONDS = 10.0

CARD, MAIN = "GPU memory", "main memory"
# Parameter to lower, by stage; other stages read whole arrays in chunks of as many rows.
_TO_LOWER = {
    "embed": "runtime.dataloader.embed_batch_size",
    "tune_towers": "tune.batch_size",
    "train": "training.batch_size",
    "train_variants": "training.batch_size",
}
_TO_LOWER_ELSE = "runtime.dataloader.inference_batch_size"


@dataclass(frozen=True)
class Use:
    """Use of a memory in bytes: by all processes, by this stage (of the card its largest), size."""

    used: int
    own: int
    total: int


def main_memory() -> Use:
    """Use of the machine's main memory, or of the container's where that is limited."""
    total = total_memory()
    return Use(total - free_main_memory(), tree_memory(psutil.Process()), total)


def card_memory() -> Use | None:
    """Use of the card that this process computes on; None while it computes on none."""
    # Not imported: PyTorch takes seconds, and many a stage does without.
    cuda: Any = sys.modules.get("torch.cuda")
    if cuda is None or not getattr(cuda, "is_initialized", bool)():
        return None
    free, total = cuda.mem_get_info()
    return Use(total - free, cuda.max_memory_reserved(), total)


MEMORIES: Mapping[str, Callable[[], Use | None]] = {CARD: card_memory, MAIN: main_memory}


class MemoryWatch:
    """Warn when a memory runs full, and log what is in use, for the time of a block.

    Args:
        params: The ``runtime.memory`` section.
        stage: Its name, for the remedy.
        memories: Each memory's reader, by the memory's name.
    """

    def __init__(
        self,
        params: MemoryParams,
        stage: str,
        memories: Mapping[str, Callable[[], Use | None]] = MEMORIES,
    ) -> None:
        self._alerts = {
            CARD: ("alert_vram_fraction", params.alert_vram_fraction),
            MAIN: ("alert_ram_fraction", params.alert_ram_fraction),
        }
        self._logs = params.log_gpu_memory
        self._to_lower = _TO_LOWER.get(stage, _TO_LOWER_ELSE)
        self._memories = memories
        self._above: set[str] = set()
        self._most: dict[str, int] = {}
        self._began = self._logged = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if time.monotonic() - self._began >= LONG_SECONDS:
            self.look()
            most = ", ".join(f"{size_text(most)} of {name}" for name, most in self._most.items())
            logger.info("largest use: %s", most)

    def look(self) -> None:
        """Read the use of each memory; warn where it is too full."""
        uses = {name: use for name, read in self._memories.items() if (use := read()) is not None}
        for name, use in uses.items():
            self._most[name] = max(use.own, self._most.get(name, 0))
            key, fraction = self._alerts[name]
            # Once each time the line is crossed, not at every look above it.
            if use.used < fraction * use.total:
                self._above.discard(name)
            elif name not in self._above:
                self._above.add(name)
                logger.warning(
                    "%s: %.0f%% of %s are in use, %s by this stage (runtime.memory.%s = %g); "
                    "lower %s%s, or end other programs",
                    name,
                    100 * use.used / use.total,
                    size_text(use.total),
                    size_text(use.own),
                    key,
                    fraction,
                    self._to_lower,
                    " or runtime.dataloader.num_workers" if name == MAIN else "",
                )
        due = time.monotonic() - self._logged >= LOG_SECONDS
        if due and self._logs and CARD in uses:
            self._logged = time.monotonic()
            logger.info("; ".join(f"{name}: {_shown(use)}" for name, use in uses.items()))

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.look()


def _shown(use: Use) -> str:
    used, total, own = map(size_text, (use.used, use.total, use.own))
    return f"{used} of {total} in use, {own} by this stage"
