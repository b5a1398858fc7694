"""The CPU kernels are pinned before a numerical library can choose its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from siglip2_multimodal_hash.kernels import PINNED_ENVIRONMENT, THREADS, pin_cpu_kernels

SOURCE = Path(__file__).resolve().parents[1] / "src"

# Notes which variables were set at the moment when numpy was first asked for.
WATCH = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print("numpy", sorted(os.environ.items()))
sys.meta_path.insert(0, Watch())
assert "numpy" not in sys.modules
import siglip2_multimodal_hash
print("package", "numpy" in sys.modules, "torch" in sys.modules)
import siglip2_multimodal_hash.retrieval.codes
"""


def test_what_is_not_set_gets_its_default() -> None:
    environment: dict[str, str] = {"HOME": "/home/me"}
    pin_cpu_kernels(environment)
    assert environment == {"HOME": "/home/me", **PINNED_ENVIRONMENT}
    assert environment["OMP_NUM_THREADS"] == str(THREADS)


def test_what_is_set_wins() -> None:
    environment = {"OMP_NUM_THREADS": "7", "ATEN_CPU_CAPABILITY": ""}
    pin_cpu_kernels(environment)
    assert environment["OMP_NUM_THREADS"] == "7"
    assert environment["ATEN_CPU_CAPABILITY"] == ""
    assert environment["MKL_NUM_THREADS"] == PINNED_ENVIRONMENT["MKL_NUM_THREADS"]


def test_the_process_of_the_tests_is_pinned() -> None:
    assert all(name in os.environ for name in PINNED_ENVIRONMENT)


def test_importing_the_package_pins_before_numpy_is_loaded() -> None:
    bare = {name: value for name, value in os.environ.items() if name not in PINNED_ENVIRONMENT}
    bare |= {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", WATCH], env=bare, capture_output=True, text=True, check=True
    )
    package, numpy = result.stdout.splitlines()[:2]
    assert package == "package False False"
    for name, value in (PINNED_ENVIRONMENT | {"OMP_NUM_THREADS": "1"}).items():
        assert f"({name!r}, {value!r})" in numpy


@pytest.mark.parametrize(
    ("version", "forced"), [("0.3.31.188.0", True), ("0.3.34.237.2", False), ("0.3.35", True)]
)
def test_an_openblas_that_forced_kernels_crash_chooses_its_own(
    tmp_path: Path, version: str, forced: bool
) -> None:
    built = f'CONFIG = {{"openblas configuration": r"OpenBLAS {version}  DYNAMIC_ARCH Haswell"}}'
    for library, text in (("numpy", built), ("scipy", "")):
        (tmp_path / library).mkdir()
        (tmp_path / library / "__init__.py").touch()
        (tmp_path / library / "__config__.py").write_text(text, encoding="utf-8")
    bare = {name: value for name, value in os.environ.items() if name not in PINNED_ENVIRONMENT}
    bare |= {"PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE}"}
    code = "import os, siglip2_multimodal_hash; print('OPENBLAS_CORETYPE' in os.environ)"
    result = subprocess.run(
        [sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == str(forced)
