"""Python, PyTorch and its card, FAISS and the CPU: each judged for machines that are not here."""

import struct
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from siglip2_multimodal_hash.doctor.cuda_code import compiled_for
from siglip2_multimodal_hash.doctor.environment import (
    check_device_memory,
    check_faiss,
    check_kernels,
    check_libraries,
    check_precision,
    check_products,
    check_python,
    check_ray,
    check_torch,
    check_trackers,
)
from siglip2_multimodal_hash.doctor.machine import FaissBuild, Machine, TorchBuild
from tests.doctor.machines import (
    CPU_BUILD,
    CU124,
    CU128,
    GIB,
    GTX_1050,
    LAPTOP,
    PLAN,
    RTX_5080,
    params_with,
)

AUTO, CUDA, CPU = (params_with(runtime__device=name) for name in ("auto", "cuda", "cpu"))


def test_python() -> None:
    assert check_python(LAPTOP).status == "ok"
    old = check_python(replace(LAPTOP, python=(3, 10, 14)))
    assert (old.status, old.finding) == ("fail", "3.10.14")


def test_a_blackwell_card_with_a_build_for_its_kernels() -> None:
    found = check_torch(PLAN, CUDA)
    assert found.status == "ok"
    assert "RTX 5080 (compute capability 12.0)" in found.finding


def test_a_blackwell_card_without_kernels_is_named_with_the_build_it_needs() -> None:
    """The plan's PyTorch 2.6.0+cu124 on the plan's card."""
    for params in (AUTO, CUDA):
        found = check_torch(replace(PLAN, torch=CU124), params)
        assert found.status == "fail"
        for part in ("RTX 5080", "12.0", "2.6.0+cu124", "sm_90 only"):
            assert part in found.finding
        assert "CUDA >= 12.8" in found.remedy
    assert check_torch(replace(PLAN, torch=CU124), CPU).status == "ok"


def test_an_old_card_without_kernels_does_not_get_the_advice_for_blackwell() -> None:
    found = check_torch(replace(PLAN, torch=CU128, cards=(GTX_1050,)), AUTO)
    assert found.status == "fail"
    assert "Blackwell" not in found.remedy


def test_a_rocm_build_is_not_asked_for_cuda_kernels() -> None:
    rocm = TorchBuild("2.9.0+rocm6.4", rocm="6.4", architectures=("gfx1100",))
    assert check_torch(replace(PLAN, torch=rocm), CUDA).status == "ok"


@pytest.mark.parametrize(
    ("machine", "statuses", "part"),
    [
        (LAPTOP, ("ok", "fail", "ok"), "no card is here"),
        (
            replace(LAPTOP, unseen_cards=("NVIDIA GeForce RTX 5080",)),
            ("warn", "fail", "ok"),
            "built without CUDA, does not see NVIDIA GeForce RTX 5080",
        ),
        (
            replace(LAPTOP, torch=CU128, unseen_cards=("NVIDIA L4",)),
            ("warn", "fail", "ok"),
            "built for CUDA 12.8, does not see NVIDIA L4",
        ),
        (replace(LAPTOP, torch=None), ("fail", "fail", "fail"), "missing"),
    ],
)
def test_without_a_card_that_pytorch_sees(
    machine: Machine, statuses: tuple[str, ...], part: str
) -> None:
    found = [check_torch(machine, params) for params in (AUTO, CUDA, CPU)]
    assert tuple(one.status for one in found) == statuses
    assert part in found[0].finding
    assert all(one.remedy for one in found if one.status != "ok")


@pytest.mark.parametrize(
    ("machine", "towers", "head", "remedy"),
    [
        (PLAN, "bfloat16", "auto", None),
        (PLAN, "float16", "float16", None),
        (LAPTOP, "bfloat16", "auto", None),
        (LAPTOP, "float16", "auto", "set backbone.amp_dtype to float32 or bfloat16"),
        (LAPTOP, "float32", "float16", "set training.mixed_precision to auto or off"),
        (
            replace(PLAN, cards=(GTX_1050,)),
            "bfloat16",
            "bfloat16",
            "set backbone.amp_dtype to float16; set training.mixed_precision to float16",
        ),
        (replace(PLAN, cards=(GTX_1050,)), "float16", "auto", None),
    ],
)
def test_precision_that_the_device_lacks(
    machine: Machine, towers: str, head: str, remedy: str | None
) -> None:
    params = params_with(backbone__amp_dtype=towers, training__mixed_precision=head)
    found = check_precision(machine, params)
    assert (found.status, found.remedy) == (("fail", remedy) if remedy else ("ok", ""))


@pytest.mark.parametrize(
    ("machine", "status", "part"),
    [
        (PLAN, "ok", "with GPU support, 1 card"),
        (LAPTOP, "ok", "on the CPU"),
        (replace(PLAN, faiss=FaissBuild("1.13.2")), "warn", "without GPU support"),
        (replace(PLAN, faiss=FaissBuild("1.13.2", for_gpus=True)), "warn", "finds no card"),
        (replace(PLAN, faiss=None), "fail", "missing"),
    ],
)
def test_faiss(machine: Machine, status: str, part: str) -> None:
    found = check_faiss(machine, AUTO)
    assert found.status == status
    assert part in found.finding


ARCHITECTURES = ("compute_90", "sm_70", "sm_80", "sm_90")


@pytest.mark.parametrize(
    ("architectures", "status", "part"),
    [
        ((), "ok", "unknown for which compute capabilities"),
        (ARCHITECTURES, "ok", "none of it machine code for NVIDIA GeForce RTX 5080"),
        (("sm_90", "sm_120"), "ok", "compiled for sm_90, sm_120"),
        (("sm_70", "sm_90"), "fail", "not for NVIDIA GeForce RTX 5080 (compute capability 12.0)"),
    ],
)
def test_what_faiss_was_compiled_for(
    architectures: tuple[str, ...], status: str, part: str
) -> None:
    build = FaissBuild("1.15.1", for_gpus=True, gpus=1, architectures=architectures)
    found = check_faiss(replace(PLAN, faiss=build), AUTO)
    assert (found.status, part in found.finding) == (status, True)
    assert ("first search" in found.finding) == (architectures == ARCHITECTURES)


def fat_binary(*entries: tuple[int, int], size: int | None = None) -> bytes:
    """As nvcc embeds it: an entry of three bytes of code per (kind, architecture)."""
    code = b"".join(
        struct.pack("<HHIQIIHHI", kind, 1, 64, 3, 0, 0, 0, 9, architecture).ljust(64, b"\0")
        + b"abc"
        for kind, architecture in entries
    )
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(code) if size is None else size) + code


def test_architectures_are_read_from_a_library(tmp_path: Path) -> None:
    library = tmp_path / "libfaiss.so"
    library.write_bytes(b"")
    assert compiled_for(library) == set()
    good = fat_binary((1, 90), (2, 90)) + b"between" + fat_binary((2, 120))
    library.write_bytes(b"\x7fELF" + good)
    assert compiled_for(library) == {"compute_90", "sm_90", "sm_120"}
    # Bytes that begin alike and go on otherwise: another kind, and more than there is.
    library.write_bytes(fat_binary((7, 90)) + fat_binary((2, 80), size=1000))
    assert compiled_for(library) == set()


def test_libraries() -> None:
    found = check_libraries(LAPTOP)
    assert found.finding == "numpy 2.4.6, transformers 5.23.0, pycocotools 2.0.11"
    missing = check_libraries(replace(LAPTOP, versions={"numpy": "2.4.6"}))
    assert (missing.status, missing.finding) == ("fail", "missing: transformers, pycocotools")


def test_trackers_are_checked_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_trackers(AUTO) == []
    monkeypatch.setitem(sys.modules, "wandb", None)
    (found,) = check_trackers(params_with(runtime__logging__use_wandb=True))
    assert found.status == "fail"
    assert "the package wandb is not installed" in found.finding
    assert "[tracking]" in found.remedy


@pytest.mark.parametrize(
    ("machine", "status", "part"),
    [
        (LAPTOP, "ok", "AVX2 with FMA"),
        (replace(LAPTOP, environment={"OMP_NUM_THREADS": "2"}), "ok", "AVX2 with FMA"),
        (replace(LAPTOP, environment={"OMP_NUM_THREADS": "8"}), "warn", "OMP_NUM_THREADS=8"),
        (replace(LAPTOP, cpu_features=frozenset({"avx", "fma"})), "warn", "no AVX2"),
        (replace(LAPTOP, cpu_features=None), "warn", "does not report"),
        (replace(LAPTOP, processor="arm64", cpu_features=None), "warn", "arm64"),
        (replace(LAPTOP, torch=replace(CPU_BUILD, cpu_kernels="AVX512")), "warn", "AVX512"),
        (replace(LAPTOP, torch=None), "ok", "AVX2 with FMA"),
    ],
)
def test_cpu_kernels(machine: Machine, status: str, part: str) -> None:
    found = check_kernels(machine)
    assert found.status == status
    assert part in found.finding


def test_a_library_that_a_product_ends() -> None:
    assert check_products(LAPTOP).status == "ok"
    found = check_products(replace(LAPTOP, crash="NumPy (SIGSEGV)"))
    assert (found.status, "crashes in NumPy (SIGSEGV)" in found.finding) == ("fail", True)
    assert "constraints.txt" in found.remedy


def test_ray_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = params_with(runtime__embed__engine="ray")
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/" + 36 * "x")
    assert check_ray(AUTO) == []
    (found,) = check_ray(asked)
    assert (found.status, found.remedy) == ("fail", "export RAY_TMPDIR=/tmp")
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setenv("TMPDIR", "/tmp")
    (found,) = check_ray(asked)
    assert "Ray Data is not installed" in found.finding


def test_memory_of_the_device_is_told() -> None:
    assert "8.0 GiB of main memory, 2 CPU core(s)" in check_device_memory(LAPTOP, AUTO).finding
    assert "RTX 5080 with 15.9 GiB, 15.0 GiB of it free" in check_device_memory(PLAN, AUTO).finding
    busy = replace(PLAN, cards=(replace(RTX_5080, free=2 * GIB),))
    assert check_device_memory(busy, AUTO).status == "warn"
    assert "RTX" not in check_device_memory(busy, CPU).finding
