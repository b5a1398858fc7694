"""Checks of what is installed: Python, PyTorch and its card, FAISS, the CPU's kernels."""

from collections.abc import Sequence

from siglip2_multimodal_hash.device import has_kernels
from siglip2_multimodal_hash.doctor.findings import Finding, fail, fail_with, ok, warn
from siglip2_multimodal_hash.doctor.machine import (
    LIBRARIES,
    Card,
    FaissBuild,
    Machine,
    TorchBuild,
)
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.engines.ray_cluster import import_ray
from siglip2_multimodal_hash.files import size_text
from siglip2_multimodal_hash.kernels import PINNED_ENVIRONMENT
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.training.trackers import PACKAGES, require_trackers

OLDEST_PYTHON = (3, 11)
BLACKWELL = (10, 0)
BLACKWELL_CUDA = (12, 8)
_CUDA_BUILD = "install a CUDA build of PyTorch"


def check_python(machine: Machine) -> Finding:
    """Check that the interpreter is new enough."""
    version = ".".join(map(str, machine.python))
    if machine.python < OLDEST_PYTHON:
        return fail(
            "python", version, "make a new environment: make repro PYTHON=python3.12 names another"
        )
    return ok("python", version)


def check_torch(machine: Machine, params: Params) -> Finding:
    """Check that this PyTorch computes on the device that ``runtime.device`` names."""
    build, device = machine.torch, params.runtime.device
    if build is None:
        return fail("pytorch", "missing, or it cannot be loaded", "install the project again")
    version = f"PyTorch {build.version}"
    if device == "cpu":
        return ok("pytorch", f"{version}, on the CPU, set by runtime.device")
    if machine.cards:
        return _check_card(build, machine.cards[0], device)
    if machine.unseen_cards:
        built = f"built for CUDA {build.cuda}" if build.cuda else "built without CUDA"
        finding = f"{version}, {built}, does not see {', '.join(machine.unseen_cards)}"
        remedy = (
            f"update the card's driver: CUDA {build.cuda} needs a newer one" if build.cuda
            else _CUDA_BUILD
        )  # fmt: skip
        return Finding("pytorch", "fail" if device == "cuda" else "warn", finding, remedy)
    if device == "cuda":
        return fail(
            "pytorch", f"{version}: no card is here, and runtime.device = cuda", "smhash use cpu"
        )
    return ok("pytorch", f"{version}; no card is here, so it computes on the CPU")


def _check_card(build: TorchBuild, card: Card, device: str) -> Finding:
    major, minor = card.capability
    where = f"{card.name} (compute capability {major}.{minor})"
    # A ROCm build names its architectures otherwise.
    if build.rocm is not None or has_kernels(card.capability, build.architectures):
        built = f"ROCm {build.rocm}" if build.rocm else f"CUDA {build.cuda}"
        return ok("pytorch", f"PyTorch {build.version}, {built}, has kernels for {where}")
    kernels = ", ".join(build.architectures) or "no card"
    remedy = "install a newer CUDA build of PyTorch"
    if card.capability >= BLACKWELL and _version(build.cuda) < BLACKWELL_CUDA:
        remedy = "Blackwell cards need PyTorch >= 2.7 built for CUDA >= 12.8: install such a build"
    return fail(
        "pytorch",
        f"PyTorch {build.version} (CUDA {build.cuda}) has kernels for {kernels} only, not for "
        f"{where}, and runtime.device = {device}",
        f"{remedy}, or `smhash use cpu`",
    )


def check_precision(machine: Machine, params: Params) -> Finding:
    """Check that the device supports the requested dtypes."""
    towers, head = params.backbone.amp_dtype, params.training.mixed_precision
    on_cpu = machine.device(params.runtime.device) == "cpu"
    if on_cpu:
        unable, where, instead = "float16", "on a CPU", ("float32 or bfloat16", "auto or off")
    elif not machine.cards[0].bfloat16:
        unable, where, instead = "bfloat16", f"on {machine.cards[0].name}", ("float16", "float16")
    else:
        return ok("precision", f"towers {towers}, head {head}")
    keys = (("backbone.amp_dtype", towers), ("training.mixed_precision", head))
    bad = [(key, other) for (key, value), other in zip(keys, instead, strict=True)
           if value == unable]  # fmt: skip
    if not bad:
        return ok("precision", f"towers {towers}, head {head}")
    return fail(
        "precision",
        f"{', '.join(f'{key} = {unable}' for key, _ in bad)}: not possible {where}",
        "; ".join(f"set {key} to {other}" for key, other in bad),
    )


def check_faiss(machine: Machine, params: Params) -> Finding:
    """Check that FAISS is installed and uses the GPU."""
    build = machine.faiss
    if build is None:
        return fail(
            "faiss",
            "missing, or it cannot be loaded",
            "make install; or `pip uninstall faiss-cpu faiss-gpu`, then the extra `cpu` or `gpu`: "
            "pip install --constraint constraints.txt --editable '.[cpu]'",
        )
    version = f"FAISS {build.version}"
    if build.gpus:
        return _check_faiss_card(build, machine.cards)
    if machine.device(params.runtime.device) == "cpu":
        return ok("faiss", f"{version}, on the CPU")
    if build.for_gpus:
        return warn(
            "faiss", f"{version} has GPU support, but finds no card; it searches on the CPU",
            "install the faiss-gpu that suits the card's driver, or leave it",
        )  # fmt: skip
    return warn(
        "faiss",
        f"{version} without GPU support: it searches on the CPU, with the same results",
        "make install ACCELERATOR=gpu; or pip uninstall faiss-cpu, then pip install --constraint "
        "constraints.txt --editable '.[gpu]'",
    )


def _check_faiss_card(build: FaissBuild, cards: Sequence[Card]) -> Finding:
    """FAISS takes every card that it sees, unless ``runtime.device`` is ``cpu``."""
    said = f"FAISS {build.version} with GPU support, {build.gpus} card(s)"
    if not build.architectures:
        return ok("faiss", f"{said}; unknown for which compute capabilities it was compiled")
    said += f", compiled for {', '.join(build.architectures)}"
    for card in cards:
        where = f"{card.name} (compute capability {'.'.join(map(str, card.capability))})"
        if not has_kernels(card.capability, build.architectures):
            return fail(
                "faiss", f"{said}; not for {where}",
                "make install ACCELERATOR=cpu: it searches on the CPU, with the same results",
            )  # fmt: skip
        machine_code = [one for one in build.architectures if one.startswith("sm_")]
        if not has_kernels(card.capability, machine_code):
            said += f"; none of it machine code for {where}, so the first search there compiles"
    return ok("faiss", said)


def check_libraries(machine: Machine) -> Finding:
    """Report the versions of the other libraries that affect the results."""
    versions = ", ".join(f"{name} {machine.versions.get(name)}" for name in LIBRARIES)
    missing = [name for name in LIBRARIES if machine.versions.get(name) is None]
    if missing:
        return fail("libraries", f"missing: {', '.join(missing)}", "install the project again")
    return ok("libraries", versions)


def check_products(machine: Machine) -> Finding:
    """Check that matrix products run with the pinned kernels in every numerical library."""
    if machine.crash:
        return fail(
            "matrix products",
            f"one of two matrices crashes in {machine.crash}, and a stage would crash too",
            "install the tested versions: pip install --constraint constraints.txt --editable "
            "'.[cpu]'; or let OpenBLAS choose its kernels: export OPENBLAS_CORETYPE=",
        )
    return ok("matrix products", "NumPy, SciPy, FAISS and PyTorch compute them")


def check_trackers(params: Params) -> list[Finding]:
    """Check that the trackers which ``runtime.logging`` enables are installed."""
    asked = [name for name in PACKAGES if getattr(params.runtime.logging, f"use_{name}")]
    try:
        require_trackers(params.runtime.logging)
    except InputError as error:
        return [fail_with("trackers", error)]
    return [ok("trackers", ", ".join(asked))] if asked else []


def check_ray(params: Params) -> list[Finding]:
    """Check that Ray starts, where ``runtime.embed.engine`` asks for it."""
    if params.runtime.embed.engine != "ray":
        return []
    try:
        return [ok("ray", f"Ray {import_ray(params.runtime.embed).__version__}")]
    except InputError as error:
        return [fail_with("ray", error)]


def check_kernels(machine: Machine) -> Finding:
    """Check the pinned CPU kernels, which make results equal across machines."""
    if machine.processor.lower() not in ("x86_64", "amd64"):
        return warn(
            "cpu kernels",
            f"{machine.processor}: the pins are for x86-64, results agree only approximately",
            "no action needed; the last digits of figures may differ from the committed ones",
        )
    changed = {
        name: value
        for name, value in machine.environment.items()
        if value != PINNED_ENVIRONMENT[name]
    }
    if changed:
        shown = ", ".join(f"{name}={value}" for name, value in sorted(changed.items()))
        return warn(
            "cpu kernels",
            f"{shown}: set by hand, so results agree only approximately with other machines",
            f"unset {' '.join(sorted(changed))}",
        )
    if machine.cpu_features is None:
        return warn(
            "cpu kernels",
            "the system does not report whether the CPU has AVX2 and FMA",
            "no action needed if it is from 2015 or later",
        )
    missing = sorted({"avx2", "fma"} - machine.cpu_features)
    if missing:
        return warn(
            "cpu kernels",
            f"the CPU has no {' and no '.join(missing).upper()}: results agree only approximately",
            "use a CPU from 2015 or later where they must agree",
        )
    found = machine.torch.cpu_kernels if machine.torch else "AVX2"
    if found != "AVX2":
        return warn(
            "cpu kernels",
            f"PyTorch uses {found} kernels instead of AVX2",
            "import siglip2_multimodal_hash before torch, so that its pins are read",
        )
    return ok("cpu kernels", "AVX2 with FMA, pinned")


def check_device_memory(machine: Machine, params: Params) -> Finding:
    """Report the device's memory; :mod:`.checklist` compares it with the need."""
    ram = f"{size_text(machine.ram)} of main memory, {machine.cores} CPU core(s)"
    if machine.device(params.runtime.device) == "cpu":
        return ok("hardware", ram)
    card = machine.cards[0]
    said = f"{card.name} with {size_text(card.memory)}, {size_text(card.free)} of it free; {ram}"
    if card.free < card.memory / 2:
        return warn("hardware", said, "stop the programs that hold the rest: nvidia-smi lists them")
    return ok("hardware", said)


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (text or "0").split(".") if part.isdigit())
