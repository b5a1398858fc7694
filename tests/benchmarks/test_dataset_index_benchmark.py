"""The benchmark of the index on a few hundred images: both ways give one table."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import synthetic_coco
from benchmarks.dataset_index import by_loop, by_project, compare, compare_tables
from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.errors import InputError


def test_both_ways_give_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_coco, "COUNTS", {"train2014": (120, 500), "val2014": (60, 200)})
    monkeypatch.setattr(synthetic_coco, "HELD_OUT", 10)
    root = tmp_path / "coco"
    synthetic_coco.write_synthetic_coco(root, None)
    describe_source(root)
    for way, name in ((by_project, "a"), (by_loop, "b")):
        way(root, tmp_path / f"{name}.parquet")
    table = compare_tables(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert table["split"].value_counts().to_dict() == {
        **{"train": 120, "restval": 40, "val": 10, "test": 10}
    }
    assert table["captions"].map(len).tolist() == [5] * 180
    assert table["labels"].map(sum).sum() > 180
    table.assign(split="train").to_parquet(tmp_path / "c.parquet")
    with pytest.raises(InputError, match="the two tables differ in column split"):
        compare_tables(tmp_path / "a.parquet", tmp_path / "c.parquet")


def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no labels80_trainval2014\.npz"):
        compare(tmp_path)


def test_the_peak_is_of_the_process_itself() -> None:
    root = Path(__file__).resolve().parents[2]
    code = "from benchmarks.peak_memory import peak_gb; print(peak_gb())"
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}

    def peak() -> float:
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=root, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return float(done.stdout)

    before = peak()
    held = np.ones(2**26)  # 512 MiB in this process, which is not the child's
    assert 0 < before < 0.4
    assert abs(peak() - before) < 0.1
    assert held.nbytes == 2**29
