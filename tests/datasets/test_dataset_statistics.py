"""Statistics of an index, on numbers that are counted by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index
from siglip2_multimodal_hash.datasets.index_builder import index_source
from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.datasets.statistics import dataset_statistics
from siglip2_multimodal_hash.errors import DataError


@pytest.fixture
def index(tiny: Any, tmp_path: Path) -> DatasetIndex:
    captions = tiny.captions["val2014"]["annotations"]
    next(one for one in captions if one["id"] == 601)["caption"] = " a dog  runs over\nthe grass "
    root = tiny.write(tmp_path)
    describe_source(root)
    return index_source(root, root, root / "karpathy_split.json", "keep")[0]


def test_counted_by_hand(index: DatasetIndex) -> None:
    found = dataset_statistics(index)
    assert found["categories"] == ["person", "airplane", "dog"]
    assert found["images"] == {"train": 4, "restval": 2, "val": 2, "test": 2, "total": 10}
    assert found["overlap"] == {"train/val": 0, "train/test": 0, "val/test": 0}
    # train: {1}, {5}, {1, 5}, {1}, {}, {18}
    train = found["splits"]["train"]
    assert (train["images"], train["labelled"], train["unlabelled"]) == (6, 5, 1)
    assert train["class_frequency"] == [3, 2, 1]
    assert train["labels_per_image"] == {"mean": 1.0, "histogram": [1, 4, 1]}
    assert found["co_occurrence_train"] == [[3, 1, 0], [1, 2, 0], [0, 0, 1]]
    # val: six words, and three times three
    val = found["splits"]["val"]
    assert val["captions"] == 4
    assert val["captions_per_image"] == {"min": 2, "max": 2}
    assert val["caption_words"]["mean"] == 3.75
    assert val["caption_words"]["q50"] == 3.0
    assert val["caption_words"]["q100"] == 6.0
    assert val["caption_words"]["q95"] == float(np.quantile([3, 3, 3, 6], 0.95))
    assert found["splits"]["test"]["labels_per_image"] == {"mean": 2.0, "histogram": [0, 1, 0, 1]}


def test_is_json_and_the_same_each_time(index: DatasetIndex) -> None:
    first = json.dumps(dataset_statistics(index), allow_nan=False)
    assert first == json.dumps(dataset_statistics(index), allow_nan=False)


def small(**columns: list[Any]) -> DatasetIndex:
    length = len(columns["image_id"])
    ones = dict.fromkeys(("width", "height", "bytes"), [1] * length)
    labels = np.eye(2, dtype=np.uint8)[[0] * length]
    return make_index({**ones, **columns}, [["a dog"]] * length, labels, (1, 2), ("dog", "cat"))


@pytest.mark.parametrize(
    "columns",
    [
        {"image_id": [1, 1], "file_name": ["a.jpg", "b.jpg"]},
        {"image_id": [1, 2], "file_name": ["a.jpg", "a.jpg"]},
    ],
)
def test_an_image_in_two_splits_is_refused(columns: dict[str, list[Any]]) -> None:
    with pytest.raises(DataError, match=r"the splits train and test share 1 image"):
        dataset_statistics(small(split=["restval", "test"], **columns))
    # train and restval are one split
    assert dataset_statistics(small(split=["restval", "train"], **columns))["images"]["train"] == 1


def test_an_empty_split_has_no_means() -> None:
    found = dataset_statistics(small(image_id=[1], file_name=["a.jpg"], split=["train"]))
    val = found["splits"]["val"]
    assert val["images"] == 0
    assert val["class_frequency"] == [0, 0]
    assert val["labels_per_image"] == {"mean": None, "histogram": []}
    assert val["caption_words"]["q50"] is None
    empty = dataset_statistics(small(image_id=[], file_name=[], split=[]))
    assert empty["images"]["total"] == 0
    assert json.dumps(empty)
