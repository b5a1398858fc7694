"""Free memory, tests of what fits it, and the message where it runs out."""

import contextlib
import logging
from collections.abc import Callable, Iterator

import torch

from siglip2_multimodal_hash.device import out_of_memory
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import size_text
from siglip2_multimodal_hash.memory.machine import free_main_memory

logger = logging.getLogger(__name__)

EMERGENCY_PRESET = "rtx5080-16gb-emergency"

# The rest is for the network, its optimiser, the activations and everybody else.
MOST_OF_CARD = 0.7


def free_memory(device: torch.device) -> int:
    """Memory that this process may still take: of the card, or main memory without swapping."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_main_memory()


def fits_card(needed: int, device: torch.device) -> bool:
    """Test whether ``needed`` bytes may be copied to a card."""
    free = free_memory(device)
    if needed <= MOST_OF_CARD * free:
        return True
    logger.info(
        "the training embeddings (%s) are read from the files: the card has %s free",
        size_text(needed),
        size_text(free),
    )
    return False


def release_cache(every: int, device: torch.device) -> Callable[[int], None]:
    """A function to call after each update, counted from 1, that frees CUDA's cached memory.

    Args:
        every: ``runtime.memory.empty_cache_steps``.
        device: Another than a card has no such cache.
    """

    def after_update(update: int) -> None:
        if every and device.type == "cuda" and update % every == 0:
            torch.cuda.empty_cache()

    return after_update


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
