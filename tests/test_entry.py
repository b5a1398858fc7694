"""How a stage ends."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

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
