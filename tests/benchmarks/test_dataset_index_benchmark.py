"""The benchmark of the index on a few hundred images: both ways give one table."""

from pathlib import Path

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
