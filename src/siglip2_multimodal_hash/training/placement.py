"""Where the training embeddings lie while a fit runs: on its device, in memory, or in their files.

The nearest place that holds them all is taken; wherever it is, the same numbers reach the head.
"""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

logger = logging.getLogger(__name__)

# The rest is for the network, its optimiser, the activations and everybody else.
MOST_OF_CARD, MOST_OF_MEMORY = 0.7, 0.6
GB = 1e9

_MEMINFO = Path("/proc/meminfo")


class MappedRows:
    """Some rows of a memory-mapped array, read when they are asked for.

    Stands in for the float32 tensor [n, D] that they would make.

    Args:
        array: [N, D], memory-mapped.
        rows: int64 [n].
    """

    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, array: npt.NDArray[np.floating], rows: npt.NDArray[np.int64]) -> None:
        self._array, self._rows = array, rows
        self.shape = torch.Size((len(rows), array.shape[1]))

    def __len__(self) -> int:
        return len(self._rows)

    def index_select(self, dim: int, rows: Tensor) -> Tensor:
        """Rows by number, float32 [B, D], as :meth:`torch.Tensor.index_select` gives them.

        Raises:
            ValueError: ``dim`` is not 0.
        """
        if dim:
            raise ValueError(f"dim = {dim}: rows are of dimension 0")
        taken = self._array[self._rows[rows.numpy()]]
        return torch.from_numpy(np.ascontiguousarray(taken, dtype=np.float32))


Rows = Tensor | MappedRows


def fits_memory(needed: int) -> bool:
    """Whether so many bytes may be copied into this machine's memory."""
    free = available_memory()
    return free is None or needed <= MOST_OF_MEMORY * free


def fits_device(needed: int, device: torch.device) -> bool:
    """Whether so many bytes may be copied to ``device``; the CPU's memory is asked elsewhere."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    if needed <= MOST_OF_CARD * free:
        return True
    logger.info(
        "the training embeddings (%.1f GB) stay in main memory: the card has %.1f GB free",
        needed / GB,
        free / GB,
    )
    return False


def available_memory() -> int | None:
    """Bytes that programs may still take without swapping; None where the system does not say."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", maxsplit=1) for line in lines)
    available = fields.get("MemAvailable")
    return None if available is None else 1024 * int(available.split()[0])
