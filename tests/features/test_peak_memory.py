"""The peak of a pass does not grow with the number of images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def peak_of(checkpoint: Path, folder: Path, images: int) -> int:
    """KiB."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.features.peak_child", checkpoint, folder, images]
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux's /proc")
def test_four_times_the_images_take_the_same_memory(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    # The inputs of 900 more images, or their captions' rows, would be 5 % and more of it.
    once, four = (
        peak_of(checkpoints["siglip"], tmp_path / str(images), images) for images in (300, 1200)
    )
    assert abs(four / once - 1) < 0.05, f"{once} KiB, then {four}"
