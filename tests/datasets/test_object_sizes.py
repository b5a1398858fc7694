"""Sizes of objects: read from the annotations, kept beside the index, and put over the image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.index import make_index
from siglip2_multimodal_hash.datasets.index_builder import index_source, read_source
from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.datasets.object_sizes import (
    ObjectSizes,
    object_shares,
    read_object_sizes,
    write_object_sizes,
)
from siglip2_multimodal_hash.errors import DataError

SIZES = ObjectSizes(
    np.array([10, 10, 10, 30]), np.array([1, 1, 5, 5]), np.array([10.0, 40.0, 20.0, 25.0])
)


def test_the_shares_of_each_image() -> None:
    """Image 10 is 10 x 10 with objects of 10, 40 and 20 pixels; 20 has none; 30 is 10 x 5."""
    dataset = make_index(
        {
            "image_id": [10, 20, 30],
            "file_name": ["a.jpg", "b.jpg", "c.jpg"],
            "split": ["test"] * 3,
            "width": [10, 10, 10],
            "height": [10, 10, 5],
            "bytes": [1, 1, 1],
        },
        [["a caption"]] * 3,
        np.array([[1, 1], [0, 0], [0, 1]], dtype=np.uint8),
        (1, 5),
        ("person", "airplane"),
    )
    shares = object_shares(SIZES, dataset, np.array([0, 1, 2]))
    np.testing.assert_array_equal(shares.largest, [[0.4, 0.2], [np.nan, np.nan], [np.nan, 0.5]])
    np.testing.assert_array_equal(shares.smallest, [0.1, np.nan, 0.5])
    np.testing.assert_array_equal(shares.median, [0.2, np.nan, 0.5])
    alone = object_shares(SIZES, dataset, np.array([2]))
    np.testing.assert_array_equal(alone.largest, [[np.nan, 0.5]])


def test_objects_come_back_as_they_were(tmp_path: Path) -> None:
    write_object_sizes(tmp_path / "objects.parquet", SIZES)
    found = read_object_sizes(tmp_path / "objects.parquet")
    assert found.image_ids.tolist() == SIZES.image_ids.tolist()
    assert found.category_ids.tolist() == SIZES.category_ids.tolist()
    assert found.areas.tolist() == SIZES.areas.tolist()
    write_object_sizes(tmp_path / "again.parquet", found)
    first, second = (tmp_path / name for name in ("objects.parquet", "again.parquet"))
    assert first.read_bytes() == second.read_bytes()
    write_object_sizes(first, ObjectSizes.none())
    assert read_object_sizes(first).areas.size == 0


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "objects.parquet"
    with pytest.raises(DataError, match=r"objects\.parquet: no such file"):
        read_object_sizes(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_object_sizes(path)
    write_object_sizes(path, ObjectSizes(np.array([2, 1]), np.array([1, 1]), np.ones(2)))
    with pytest.raises(DataError, match="do not ascend"):
        read_object_sizes(path)


def test_areas_are_read_where_they_are_and_crowds_are_no_objects(tiny: Any, tmp_path: Path) -> None:
    for part in tiny.instances.values():
        part["annotations"][0]["area"] = 7.5
    tiny.instances["val2014"]["annotations"][1] |= {"area": 40, "iscrowd": 1}
    tiny.write(tmp_path)
    describe_source(tmp_path)
    annotations, _ = read_source(tmp_path, tmp_path)
    sizes = annotations.sizes
    # The first annotations: image 10 shows a person, image 20 an airplane.
    assert sizes.image_ids.tolist() == [10, 20]
    assert sizes.category_ids.tolist() == [1, 5]
    assert sizes.areas.tolist() == [7.5, 7.5]
    assert sizes.of_images(np.array([20, 30])).image_ids.tolist() == [20]
    index_source(tmp_path, tmp_path, tmp_path / "karpathy_split.json", "keep")


@pytest.mark.parametrize("area", [-1, True, "3", float("inf")])
def test_an_area_that_is_none_is_refused(tiny: Any, tmp_path: Path, area: object) -> None:
    tiny.instances["train2014"]["annotations"][0]["area"] = area
    tiny.write(tmp_path)
    describe_source(tmp_path)
    with pytest.raises(DataError, match=r"annotation id \d+: area = "):
        read_source(tmp_path, tmp_path)
