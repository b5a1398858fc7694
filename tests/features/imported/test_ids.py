"""Ids in every form that people have them in."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.imported.ids import read_ids
from siglip2_multimodal_hash.features.imported.matching import ImageIds, match_images


@pytest.fixture
def coco() -> DatasetIndex:
    """Three images as COCO names them; two folders have a file `same.jpg`."""
    names = ["train2014/COCO_train2014_000000000042.jpg", "train2014/same.jpg", "val2014/same.jpg"]
    columns = {
        "image_id": [42, 1000, 1001],
        "file_name": names,
        "split": ["train", "val", "test"],
        "width": [1, 1, 1],
        "height": [1, 1, 1],
        "bytes": [1, 1, 1],
    }
    return make_index(columns, [["a"]] * 3, np.eye(3, dtype=np.uint8), (1, 2, 3), ("a", "b", "c"))


@pytest.mark.parametrize(
    ("one", "row"),
    [
        ("42", 0),
        ("000000000042", 0),
        ("000000000042.jpg", 0),  # COCO 2017's name of it
        ("/data/train2017/000000000042.jpg", 0),
        ("COCO_train2014_000000000042.jpg", 0),
        ("COCO_train2014_000000000042", 0),
        ("/data/coco/images/train2014/COCO_train2014_000000000042.jpg", 0),
        ("train2014\\COCO_train2014_000000000042.png", 0),
        ("train2014/same.jpg", 1),
        ("/x/val2014/same.jpg", 2),
        ("val2014/same", 2),
        ("same.jpg", -1),  # which of the two?
        ("43", -1),
        ("4 2", -1),
        ("-42", -1),
        ("4²", -1),
        ("9" * 5000, -1),
        ("", -1),
        ("/", -1),
        ("..", -1),
    ],
)
def test_what_an_id_means(coco: DatasetIndex, one: str, row: int) -> None:
    assert ImageIds(coco).row(one)[0] == row


@pytest.mark.parametrize(
    ("one", "by_name"),
    [
        ("42", False),
        ("000000000042.jpg", False),  # COCO 2017's name is the number
        ("COCO_train2014_000000000042", True),
        ("http://images.cocodataset.org/train2014/COCO_train2014_000000000042.jpg?w=1#x", True),
        ("s3://bucket/train2014/same%2Ejpg", True),
    ],
)
def test_a_file_name_is_more_than_a_number(coco: DatasetIndex, one: str, by_name: bool) -> None:
    row, found = ImageIds(coco).row(one)
    assert row >= 0
    assert found is by_name


def test_the_first_column_that_knows_the_dataset(coco: DatasetIndex) -> None:
    # image_path holds clip-retrieval's keys of a tar archive, id what the user put in.
    columns = {"image_path": ["000000000", "000000001", "000000002"], "id": ["1001", "42", "1000"]}
    match = match_images(columns, coco)
    assert (match.column, match.rows.tolist(), match.extra) == ("id", [1, 2, 0], 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.txt", "42\n1000\n"),
        ("ids.txt", "\ufeff42\r\n1000"),
        ("ids.csv", "42\n1000\n"),
        ("ids.csv", "split,image_id\nval,42\ntrain,1000\n"),
        ("ids.csv", 'id,caption\n42,"a, ""b"""\n1000,c\n'),
    ],
)
def test_text(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    columns = read_ids(tmp_path / name)
    assert [ids for column, ids in columns.items() if column != "caption"] == [["42", "1000"]]


@pytest.mark.parametrize("ids", [[42, 1000], ["42", "1000"]])
def test_arrays_and_tables(tmp_path: Path, ids: list[int] | list[str]) -> None:
    np.save(tmp_path / "ids.npy", np.array(ids))
    assert read_ids(tmp_path / "ids.npy") == {"array": ["42", "1000"]}
    frame = pd.DataFrame({"caption": ["a", "b"], "image_path": ["x", "y"], "key": ids})
    frame.to_parquet(tmp_path / "ids.parquet")
    assert read_ids(tmp_path / "ids.parquet") == {
        "image_path": ["x", "y"],
        "key": ["42", "1000"],
        "caption": ["a", "b"],
    }


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
        pa.int64(),
        pa.uint16(),
    ],
)
def test_text_and_integers_of_every_arrow_type(tmp_path: Path, kind: pa.DataType) -> None:
    ids = pa.array([42, 1000], kind) if pa.types.is_integer(kind) else pa.array(["42", "1000"])
    pq.write_table(pa.table({"key": ids.cast(kind)}), tmp_path / "ids.parquet")
    assert read_ids(tmp_path / "ids.parquet") == {"key": ["42", "1000"]}


def test_a_column_that_is_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image_path": ["0", "1"], "coco": [42, 1000]})
    frame.to_parquet(tmp_path / "ids.parquet")
    frame.to_csv(tmp_path / "ids.csv", index=False)
    for name in ("ids.parquet", "ids.csv"):
        assert read_ids(tmp_path / name, "coco")["coco"] == ["42", "1000"]
        with pytest.raises(DataError, match=r"no column of ids: image_path, coco\n.*id-column no "):
            read_ids(tmp_path / name, "no")
