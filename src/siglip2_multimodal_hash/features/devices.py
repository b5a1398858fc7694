"""Which device to compute on, and whether this build of PyTorch has kernels for it."""

from collections.abc import Sequence

import torch

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.architectures import has_kernels
from siglip2_multimodal_hash.params import DeviceName


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
    """Make sure that a build of PyTorch can run on a card; see :func:`.has_kernels`.

    Args:
        card: Its name, for the message.
        capability: Its compute capability, such as (12, 0) for an RTX 5080.
        architectures: What the build was compiled for: ``torch.cuda.get_arch_list()``.

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


def out_of_memory(error: Exception) -> bool:
    """Whether a device or the system had no memory left: the CPU's allocator has no class of it."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
