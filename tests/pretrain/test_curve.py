"""Training curves, their picture, and the command that draws it."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.pretrain.curve import plot_curves, read_curve, write_curve
from siglip2_multimodal_hash.errors import DataError

ROWS = ((2.0, 1000, 6.5, 0.1), (4.0, 2000, 5.5, 0.2))


def test_curve_comes_back_and_is_drawn_the_same_way_twice(tmp_path: Path) -> None:
    write_curve(tmp_path / "a.csv", ROWS)
    rows = read_curve(tmp_path / "a.csv")
    assert [(r["minutes"], r["samples"], r["loss"], r["zero_shot_map"]) for r in rows] == list(ROWS)
    for name in ("one.svg", "two.svg"):
        plot_curves({"a": tmp_path / "a.csv"}, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"<svg" in (tmp_path / "one.svg").read_bytes()


@pytest.mark.parametrize("text", ["", "minutes,samples\n1,2\n", "loss,samples\nhigh,2\n"])
def test_what_is_no_curve_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"bad\.csv"):
        read_curve(path)


def test_missing_curve_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv"):
        read_curve(tmp_path / "none.csv")


def test_the_command_draws_the_committed_curves(tmp_path: Path) -> None:
    picture = tmp_path / "curve.svg"
    command = [sys.executable, "-m", "models.pretrain", "plot", "--picture", str(picture)]
    root = Path(__file__).resolve().parents[2]
    subprocess.run(command, cwd=root, check=True)
    assert b"<svg" in picture.read_bytes()
