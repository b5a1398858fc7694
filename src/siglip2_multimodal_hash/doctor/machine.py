"""The facts about a machine that the checks judge; :mod:`.gathering` reads them from this one.

The checks take these as arguments, so that any machine can be judged anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LIBRARIES = ("numpy", "transformers", "pycocotools")


@dataclass(frozen=True)
class Card:
    """A GPU that PyTorch sees; sizes in bytes."""

    name: str
    capability: tuple[int, int]
    memory: int
    free: int
    bfloat16: bool


@dataclass(frozen=True)
class TorchBuild:
    """The installed PyTorch.

    Attributes:
        version: Such as ``2.9.0+cu128``.
        cuda: Version of CUDA that it was built for; None for a CPU or ROCm build.
        rocm: Version of ROCm that it was built for.
        architectures: Those that it has CUDA kernels for: ``sm_90``, ``compute_90``.
        cpu_kernels: Instruction set of its CPU kernels: ``AVX2``, ``AVX512``, ``DEFAULT``.
    """

    version: str
    cuda: str | None = None
    rocm: str | None = None
    architectures: tuple[str, ...] = ()
    cpu_kernels: str = "AVX2"


@dataclass(frozen=True)
class FaissBuild:
    """The installed FAISS.

    Attributes:
        version: Such as ``1.15.1``.
        for_gpus: Whether it was built for GPUs.
        gpus: Number that it sees.
        architectures: Those that it has CUDA kernels for, as PyTorch's; empty where that is not
            known.
    """

    version: str
    for_gpus: bool = False
    gpus: int = 0
    architectures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """One machine with what is installed on it; sizes in bytes.

    Attributes:
        python: Version of the interpreter.
        processor: ``x86_64``, ``arm64``, ...
        cores: CPU cores that this process may use.
        cpu_features: ``avx2``, ``fma``, ...; None where the system does not report them.
        ram: Memory, or the limit of the container.
        torch: None where it is missing or cannot be loaded.
        faiss: None where it is missing or cannot be loaded.
        versions: Of :data:`LIBRARIES`, those that are installed.
        cards: GPUs that PyTorch sees.
        unseen_cards: Names of GPUs that only the driver sees.
        artwork: Whether the artwork of mojicoco is installed.
        environment: Variables that are set, of those that pin kernels.
        crash: The library in which a product of matrices crashes, and the signal; empty where none.
        disk_free: On the disk of the project.
        cache_free: On the disk of the hub's cache.
        one_disk: Whether these two are the same disk.
    """

    python: tuple[int, int, int]
    processor: str
    cores: int
    cpu_features: frozenset[str] | None
    ram: int
    torch: TorchBuild | None
    faiss: FaissBuild | None
    versions: Mapping[str, str] = field(default_factory=dict)
    cards: tuple[Card, ...] = ()
    unseen_cards: tuple[str, ...] = ()
    artwork: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    crash: str = ""
    disk_free: int = 0
    cache_free: int = 0
    one_disk: bool = True

    def device(self, name: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
        """Device that ``runtime.device`` selects on this machine."""
        return "cuda" if name != "cpu" and self.cards else "cpu"
