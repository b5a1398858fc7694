"""Start and end of a stage."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

CARDS = """\
import os
from siglip2_multimodal_hash.entry import run_stage

def main(params):
    print(os.environ["CUDA_VISIBLE_DEVICES"] or "none")

run_stage(main)
"""
DIES = """\
import os, signal
from siglip2_multimodal_hash.entry import run_stage

def main(params):
    multiply()

def multiply():
    os.kill(os.getpid(), signal.SIGSEGV)

run_stage(main)
"""


def test_a_stage_that_a_signal_ends_says_where(tmp_path: Path) -> None:
    stage = tmp_path / "stage.py"
    stage.write_text(DIES, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(stage)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -11
    assert "Segmentation fault" in done.stderr
    assert f'File "{stage}", line 8 in multiply' in done.stderr


@pytest.mark.parametrize(("device", "seen"), [("auto", "0"), ("cuda", "0"), ("cpu", "none")])
def test_on_the_cpu_no_library_sees_a_card(tmp_path: Path, device: str, seen: str) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert "\n  device: auto " in text
    changed = text.replace("\n  device: auto ", f"\n  device: {device} ")
    (tmp_path / "params.yaml").write_text(changed, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CARDS],
        cwd=tmp_path,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == seen
