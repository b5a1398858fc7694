"""Device, precision and threads of a computation."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from siglip2_multimodal_hash.errors import InputError

DeviceName = Literal["auto", "cpu", "cuda"]
PrecisionName = Literal["auto", "off", "float16", "bfloat16"]

# Weights times pairs of an update. Half of it, a second thread makes a fit a tenth faster, for a
# third more of the processors' time; at twice as much it pays. Two experiments at a time get more
# done with one thread each.
SMALL_UPDATE = 100_000_000


def choose_device(name: DeviceName) -> torch.device:
    """The device behind ``runtime.device``; ``auto`` takes CUDA where there is one.

    Raises:
        InputError: CUDA is asked for and this PyTorch finds none, or it has no kernels for the
            card that it finds.
    """
    available = name != "cpu" and torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError(
            "runtime.device = cuda: PyTorch finds no usable CUDA device",
            "set runtime.device to auto or cpu, or install a CUDA build of PyTorch",
        )
    if not available:
        return torch.device("cpu")
    # A ROCm build answers through the same functions, but names its architectures otherwise.
    if torch.version.hip is None:
        check_kernels(
            torch.cuda.get_device_name(),
            torch.cuda.get_device_capability(),
            torch.cuda.get_arch_list(),
        )
    return torch.device("cuda")


def check_kernels(card: str, capability: tuple[int, int], architectures: Sequence[str]) -> None:
    """Make sure that a build of PyTorch can run on a card; see :func:`has_kernels`.

    Args:
        card: Its name, for the message.
        capability: Its compute capability, such as (12, 0) for an RTX 5080.
        architectures: Those that the build was compiled for: ``torch.cuda.get_arch_list()``.

    Raises:
        InputError: None of the architectures runs on the card.
    """
    if has_kernels(capability, architectures):
        return
    major, minor = capability
    raise InputError(
        f"{card} has compute capability {major}.{minor}, and this build of PyTorch "
        f"({torch.__version__}) has kernels for {', '.join(architectures) or 'no card'} only",
        "install a newer CUDA build of PyTorch (Blackwell cards, capability 12.0, need PyTorch "
        ">= 2.7 built for CUDA >= 12.8), or set runtime.device to cpu",
    )


def has_kernels(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Test whether code for one of these architectures runs on a GPU.

    Machine code (``sm_90``) runs on cards of the same major capability and at least the same
    minor one; PTX (``compute_90``) is compiled at load time for any later card. The suffix ``a``
    ties either to exactly its own capability, ``f`` to its major one (CUDA C++ Programming Guide,
    "Compute Capabilities").

    Args:
        capability: Of the card, such as (12, 0) for an RTX 5080.
        architectures: Those that the build was compiled for: ``torch.cuda.get_arch_list()``.
    """
    return any(_runs(architecture, capability) for architecture in architectures)


def _runs(architecture: str, capability: tuple[int, int]) -> bool:
    match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", architecture)
    if match is None:
        return False
    kind, suffix = match[1], match[4]
    built = (int(match[2]), int(match[3]))
    if suffix == "a":
        return built == capability
    same_major = built[0] == capability[0]
    return built <= capability and (same_major or (kind == "compute" and not suffix))


def device_text(device: torch.device) -> str:
    """Everything about a device that decides the last bits of what it computes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    # Sums are split by thread, and each instruction set adds in an order of its own.
    return f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"


@dataclass(frozen=True)
class Precision:
    """Mixed precision of one fit: the low dtype, or None for plain float32.

    float16 has too few exponent bits for small gradients, so it alone needs a loss scale.
    """

    device: torch.device
    dtype: torch.dtype | None

    @property
    def scaled(self) -> bool:
        """True if gradients need a loss scale."""
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


@contextlib.contextmanager
def threads_of_fit(network: nn.Module, pairs: int, device: torch.device) -> Iterator[None]:
    """Let PyTorch take one thread in the block where updates are small.

    Sums are split by thread, so their number decides the last bits of a fit; the size of an update
    decides the number, so that it is the same on any machine.

    Args:
        network: The network that is trained.
        pairs: Pairs per update.
        device: Another than a CPU changes nothing.
    """
    weights = sum(parameter.numel() for parameter in network.parameters())
    threads = torch.get_num_threads()
    if device.type == "cpu" and weights * pairs < SMALL_UPDATE:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def out_of_memory(error: Exception) -> bool:
    """Test for an out-of-memory error: the CPU's allocator has no class of its own for it."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
