"""The index: joining, counting, and the Parquet file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.datasets.index import DatasetIndex, read_index, write_index
from siglip2_multimodal_hash.datasets.index_builder import IndexCounts, index_source
from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import Unlabelled

Built = tuple[DatasetIndex, IndexCounts]


def build(root: Path, unlabelled: Unlabelled = "keep") -> Built:
    describe_source(root)
    return index_source(root, root, root / "karpathy_split.json", unlabelled)


def test_one_row_an_image(tiny: Any, tiny_root: Path) -> None:
    index, _ = build(tiny_root)
    frame = index.frame
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "image_id": "int64",
        "file_name": "str",
        "split": "str",
        "captions": "object",
        "labels": "object",
        "width": "int32",
        "height": "int32",
        "bytes": "int64",
    }
    assert frame["image_id"].tolist() == list(range(10, 101, 10))
    row = frame.iloc[8]
    assert row["file_name"] == "val2014/COCO_val2014_000000000090.jpg"
    assert row["split"] == "test"
    assert row["captions"] == ["1 of 90", "2 of 90"]
    assert row["labels"].tolist() == [1, 1, 1]
    assert (row["width"], row["height"], row["bytes"]) == (8, 6, len(tiny.jpeg(90)))
    assert index.category_ids == (1, 5, 18)
    assert index.category_names == ("person", "airplane", "dog")


def test_arrays_of_an_index(tiny_root: Path) -> None:
    index, _ = build(tiny_root)
    assert index.labels().dtype == np.uint8
    assert index.labels().sum(axis=0).tolist() == [4, 4, 3]
    assert index.rows("train").tolist() == [0, 1, 2, 3, 4, 6]
    assert index.rows("val").tolist() == [5, 7]
    assert index.rows("test").tolist() == [8, 9]
    assert index.rows("test").dtype == np.int64
    assert index.caption_offsets().tolist() == list(range(0, 21, 2))
    assert index.captions()[2:4] == ["1 of 20", "2 of 20"]


def test_counts_with_unlabelled_images_kept_and_dropped(tiny_root: Path) -> None:
    kept, counts = build(tiny_root)
    assert counts.images == {"train": 4, "restval": 2, "val": 2, "test": 2}
    assert counts.unlabelled == {"train": 1, "restval": 0, "val": 1, "test": 0}
    assert counts.lines()[0] == "train: 4 images (1 without any label kept)"
    dropped, counts = build(tiny_root, "drop")
    assert counts.images == {"train": 3, "restval": 2, "val": 1, "test": 2}
    assert counts.lines()[2] == "val: 1 images (1 without any label dropped)"
    gone = set(kept.frame["image_id"]) - set(dropped.frame["image_id"])
    assert gone == {50, 80}
    assert dropped.labels().any(axis=1).all()


def test_images_outside_the_split_are_left_out_and_counted(tiny: Any, tmp_path: Path) -> None:
    tiny.split["images"] = [one for one in tiny.split["images"] if one["cocoid"] not in (10, 100)]
    index, counts = build(tiny.write(tmp_path))
    assert counts.outside_split == 2
    assert counts.lines()[-1] == "left out: 2 annotated images that the split does not name"
    assert index.frame["image_id"].tolist() == list(range(20, 91, 10))


def test_a_split_image_without_annotations_is_named(tiny: Any, tmp_path: Path) -> None:
    for cocoid in (7, 8):
        tiny.split["images"].append(dict(tiny.split["images"][0], cocoid=cocoid))
    with pytest.raises(DataError, match=r"2 image\(s\) are not in the annotations") as caught:
        build(tiny.write(tmp_path))
    assert "cocoid 7, cocoid 8" in str(caught.value)


@pytest.mark.parametrize("change", [{"filename": "other.jpg"}, {"filepath": "val2014"}])
def test_split_and_annotations_must_agree_on_the_file(
    tiny: Any, tmp_path: Path, change: dict[str, str]
) -> None:
    tiny.split["images"][0].update(change)
    with pytest.raises(
        DataError, match=r"cocoid 10 is '.*', but the annotations name it '"
    ) as caught:
        build(tiny.write(tmp_path))
    assert next(iter(change.values())) in str(caught.value)


def test_a_missing_image_file_is_named(tiny: Any, tiny_root: Path) -> None:
    name = f"val2014/{tiny.name('val2014', 90)}"
    (tiny_root / "images" / name).unlink()
    with pytest.raises(DataError, match=r"1 image\(s\) that the annotations name are missing") as e:
        build(tiny_root)
    assert name in str(e.value)


def test_a_source_other_than_the_described_is_refused(tiny_root: Path) -> None:
    describe_source(tiny_root)
    path = tiny_root / "annotations" / "instances_val2014.json"
    path.write_text(path.read_text().replace('"category_id": 5', '"category_id": 1'))
    with pytest.raises(DataError, match=r"instances_val2014\.json: other content"):
        index_source(tiny_root, tiny_root, tiny_root / "karpathy_split.json", "keep")


def test_a_split_that_loses_all_its_images_is_named(tiny: Any, tmp_path: Path) -> None:
    tiny.instances["val2014"]["annotations"] = [
        one for one in tiny.instances["val2014"]["annotations"] if one["image_id"] not in (60, 80)
    ]
    with pytest.raises(DataError, match=r"no image is left in split val\n.*dataset\.unlabelled"):
        build(tiny.write(tmp_path), "drop")


def test_folder_and_archive_give_the_same_index(
    new_tiny: Callable[[], Any], tmp_path: Path
) -> None:
    for container in ("folder", "zip"):
        index, _ = build(new_tiny().write(tmp_path / container, container))
        write_index(tmp_path / f"{container}.parquet", index)
    expected = (tmp_path / "folder.parquet").read_bytes()
    assert (tmp_path / "zip.parquet").read_bytes() == expected


@settings(max_examples=15)
@given(data=st.data())
def test_bytes_do_not_depend_on_the_order_of_records(
    data: st.DataObject, new_tiny: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("order")
    root = new_tiny().write(folder / "coco")
    write_index(folder / "a.parquet", build(root)[0])
    shuffled = new_tiny()
    for content in (*shuffled.instances.values(), *shuffled.captions.values(), shuffled.split):
        for key, records in content.items():
            if isinstance(records, list):
                content[key] = data.draw(st.permutations(records))
    shuffled.write_json(root)
    write_index(folder / "b.parquet", build(root)[0])
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()
    shutil.rmtree(folder)


def test_reads_what_it_wrote(tiny: Any, tmp_path: Path) -> None:
    tiny.captions["val2014"]["annotations"].append(
        {"id": 1, "image_id": 20, "caption": "Ein „großer“ Hund 🐕\n"}
    )
    index, _ = build(tiny.write(tmp_path))
    write_index(tmp_path / "out" / "index.parquet", index)
    copy = read_index(tmp_path / "out" / "index.parquet")
    assert (copy.category_ids, copy.category_names) == (index.category_ids, index.category_names)
    assert copy.frame.dtypes.equals(index.frame.dtypes)
    plain = ["image_id", "file_name", "split", "width", "height", "bytes"]
    assert copy.frame[plain].equals(index.frame[plain])
    assert copy.frame["captions"].tolist() == index.frame["captions"].tolist()
    assert copy.captions()[2] == "Ein „großer“ Hund 🐕\n"
    assert copy.caption_offsets().tolist()[:4] == [0, 2, 5, 7]
    assert np.array_equal(copy.labels(), index.labels())
    write_index(tmp_path / "again.parquet", copy)
    expected = (tmp_path / "out" / "index.parquet").read_bytes()
    assert (tmp_path / "again.parquet").read_bytes() == expected


@pytest.fixture
def index_file(tiny_root: Path) -> Path:
    path = tiny_root / "index.parquet"
    write_index(path, build(tiny_root)[0])
    return path


def rewrite(path: Path, name: str, values: pa.Array | None) -> None:
    """Replace a column by ``values``, or take it away."""
    table = pq.read_table(path)
    position = table.schema.get_field_index(name)
    if values is None:
        table = table.remove_column(position)
    else:
        kind = table.schema.field(name) if values.type == table.schema.field(name).type else name
        table = table.set_column(position, kind, values)
    pq.write_table(table, path)


COLUMNS = ["image_id", "file_name", "split", "captions", "labels", "width", "height", "bytes"]


@pytest.mark.parametrize("name", COLUMNS)
def test_a_missing_or_mistyped_column_is_named(index_file: Path, name: str) -> None:
    rewrite(index_file, name, pa.array([1.5] * 10))
    with pytest.raises(DataError, match=rf"index\.parquet: column '{name}' is double, expected"):
        read_index(index_file)
    rewrite(index_file, name, None)
    with pytest.raises(DataError, match=rf"index\.parquet: no column '{name}'"):
        read_index(index_file)


VALUES: dict[str, pa.Array] = {
    "image_id": pa.array([10, 10, *range(30, 101, 10)], pa.int64()),
    "split": pa.array(["dev", *["train"] * 9]),
    "width": pa.array([0, *[1] * 9], pa.int32()),
    "height": pa.array([-1, *[1] * 9], pa.int32()),
    "bytes": pa.array([-1, *[1] * 9], pa.int64()),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_out_of_range_names_the_column(index_file: Path, name: str) -> None:
    rewrite(index_file, name, VALUES[name])
    with pytest.raises(DataError, match=rf"values out of range in column {name}\n.*dvc repro"):
        read_index(index_file)


def test_no_caption_and_labels_beyond_one_name_the_column(index_file: Path) -> None:
    index = read_index(index_file)
    index.frame["captions"].iloc[0].clear()
    write_index(index_file, index)
    with pytest.raises(DataError, match="out of range in column captions"):
        read_index(index_file)
    index.frame["captions"].iloc[0].append("text")
    index.frame["labels"] = list(index.labels() * 2)
    write_index(index_file, index)
    with pytest.raises(DataError, match="out of range in column labels"):
        read_index(index_file)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"category_ids": "[1, 5, 18]"},
        {"category_ids": "{", "category_names": "[]"},
        {"category_ids": "[1, 5, 18]", "category_names": '["a", "b"]'},
        {"category_ids": "[5, 1, 18]", "category_names": '["a", "b", "c"]'},
        {"category_ids": '["1", "5"]', "category_names": '["a", "b"]'},
        {"category_ids": "5", "category_names": "[]"},
    ],
)
def test_categories_must_be_in_the_metadata(index_file: Path, metadata: dict[str, str]) -> None:
    pq.write_table(pq.read_table(index_file).replace_schema_metadata(metadata), index_file)
    with pytest.raises(DataError, match=r"index\.parquet: .*category_ids and category_names"):
        read_index(index_file)


def test_labels_must_be_as_wide_as_the_categories(index_file: Path) -> None:
    metadata = {"category_ids": "[1, 5]", "category_names": json.dumps(["person", "airplane"])}
    pq.write_table(pq.read_table(index_file).replace_schema_metadata(metadata), index_file)
    with pytest.raises(DataError, match=r"column 'labels' is fixed_size_list.*3.*expected .*2"):
        read_index(index_file)


def test_a_missing_or_damaged_file_is_named(index_file: Path) -> None:
    index_file.write_bytes(index_file.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"index\.parquet: not a readable Parquet file"):
        read_index(index_file)
    index_file.unlink()
    with pytest.raises(DataError, match=r"index\.parquet: no such file\n.*build_dataset_index"):
        read_index(index_file)
