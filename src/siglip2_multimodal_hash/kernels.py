"""Pin the CPU instruction set and the thread counts, so that results are repeatable.

PyTorch, oneDNN, MKL, OpenBLAS and NumPy each choose their kernels from what the CPU offers, and
kernels of another vector width sum in another order: the last bits of every float then differ, and
after some thousand updates so do the metrics. AVX2 with FMA is what every x86-64 server and laptop
CPU since 2015 (Haswell, Zen) has, so all of them are asked for it. Sums are also split by thread,
hence the fixed thread counts. CPUs of one make then give the same bytes. Those of two makes still
may not (some libraries also block their loops by what they know of the CPU): see "How far results
agree" in the README.

Every value is a default: a variable that is already set in the environment wins.
"""

import os
from collections.abc import MutableMapping
from importlib.machinery import PathFinder
from pathlib import Path

THREADS = 2
CORETYPE = "OPENBLAS_CORETYPE"

PINNED_ENVIRONMENT: dict[str, str] = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    # Conditional numerical reproducibility: the same code path whatever the brand of the CPU.
    "MKL_CBWR": "AVX2,STRICT",
    CORETYPE: "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4",
    "FAISS_OPT_LEVEL": "avx2",
    # Threads that spin while they wait would take the cores from those that work.
    "OMP_WAIT_POLICY": "PASSIVE",
    # But a short spin (some microseconds) spares most of the calls that wake them: a fit of the
    # head takes a tenth less.
    "GOMP_SPINCOUNT": "1000",
    "OMP_NUM_THREADS": str(THREADS),
    "MKL_NUM_THREADS": str(THREADS),
    "OPENBLAS_NUM_THREADS": str(THREADS),
    # Rust's tokenizers fork-safety warning; batches are tokenised in one process anyway.
    "TOKENIZERS_PARALLELISM": "false",
    # cuBLAS needs a fixed workspace to be deterministic.
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def usable_cores() -> int:
    """Processors of this process: threads for work whose result their number cannot change."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forced_kernels_crash() -> bool:
    """Check for OpenBLAS 0.3.34 in NumPy and SciPy, without importing them.

    On AMD's CPUs with AVX-512 it hands Haswell's kernels twice the rows that their buffer on the
    stack holds: a product in float64 over more than some 300 of them returns to nowhere. Without
    the variable it takes kernels without such a buffer (OpenBLAS issues 6021 and 6026).
    """
    for library in ("numpy", "scipy"):
        spec = PathFinder.find_spec(library)
        built = Path(spec.origin).with_name("__config__.py") if spec and spec.origin else None
        if built and built.is_file() and "OpenBLAS 0.3.34" in built.read_text(encoding="utf-8"):
            return True
    return False


if _forced_kernels_crash():
    del PINNED_ENVIRONMENT[CORETYPE]


def pin_cpu_kernels(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set each variable of :data:`PINNED_ENVIRONMENT` that is not set already.

    Must run before numpy, torch, scipy or faiss is imported.
    """
    for name, value in PINNED_ENVIRONMENT.items():
        environment.setdefault(name, value)
