"""The digest of a dataset's statistics: by hand, and the known figures of COCO 2014."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.cli.stats import statistics_parts
from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index
from siglip2_multimodal_hash.datasets.statistics import (
    dataset_statistics,
    disjoint_splits,
    label_shift,
    most_frequent_pairs,
    summarise_statistics,
)
from siglip2_multimodal_hash.document import as_text

COCO = Path(__file__).resolve().parents[2].parent / "shared" / "coco-annotations"
NAMES = ("dog", "cat", "bird")


def make(labels: Any, splits: list[str], names: tuple[str, ...] = NAMES) -> DatasetIndex:
    length = len(splits)
    columns = {
        "image_id": range(length),
        "file_name": [f"{number}.jpg" for number in range(length)],
        "split": splits,
        **dict.fromkeys(("width", "height", "bytes"), [1] * length),
    }
    captions = [["a dog", "one two three four"]] * length
    ids = tuple(range(1, len(names) + 1))
    return make_index(columns, captions, np.array(labels, np.uint8), ids, names)


def test_counted_by_hand() -> None:
    labels = [[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 1, 1]]
    splits = ["train", "restval", "train", "train", "val", "test"]
    found = summarise_statistics(dataset_statistics(make(labels, splits)))
    assert list(found["class_frequency"].items()) == [
        ("cat", {"train": 2, "val": 1, "test": 1, "all": 4}),
        ("dog", {"train": 3, "val": 0, "test": 0, "all": 3}),
        ("bird", {"train": 0, "val": 0, "test": 1, "all": 1}),
    ]
    whole = found["splits"]["all"]
    assert (whole["images"], whole["labelled"], whole["unlabelled"]) == (6, 5, 1)
    assert whole["labels_per_image"] == {"mean": 8 / 6, "histogram": [1, 2, 3]}
    assert whole["captions"] == 12
    assert whole["captions_per_image"] == {"min": 2, "max": 2}
    assert whole["caption_words"] == {"mean": 3.0}
    # train has shares 3/5, 2/5, 0 of its labels, test 0, 1/2, 1/2
    shift = found["label_shift"]["test/train"]
    assert shift["total_variation"] == pytest.approx((3 / 5 + 1 / 10 + 1 / 2) / 2)
    assert shift["ratios"] == [["cat", 2.0]]  # all images of test, half of train's
    assert shift["absent"] == ["dog", "bird"]
    assert found["co_occurrence_train"] == [["dog", "cat", 2]]
    assert found["overlap"] == {"train/val": 0, "train/test": 0, "val/test": 0}


def test_equal_and_missing_labels() -> None:
    one = {"class_frequency": [4, 2, 0], "images": 8}
    same = label_shift(NAMES, one, {"class_frequency": [2, 1, 0], "images": 4})
    assert same == {"total_variation": 0.0, "ratios": [["dog", 1.0], ["cat", 1.0]], "absent": []}
    none = label_shift(NAMES, one, {"class_frequency": [0, 0, 0], "images": 3})
    assert none == {"total_variation": None, "ratios": [], "absent": ["dog", "cat"]}


def test_the_largest_ratio_comes_first_in_either_direction() -> None:
    base = {"class_frequency": [10, 10, 10], "images": 20}
    found = label_shift(NAMES, base, {"class_frequency": [20, 3, 11], "images": 20})
    assert found["ratios"] == [["cat", 0.3], ["dog", 2.0], ["bird", 1.1]]


def test_pairs_tie_in_the_order_of_the_classes() -> None:
    counts = [[9, 2, 2], [2, 9, 5], [2, 5, 9]]
    assert most_frequent_pairs(NAMES, counts) == [
        ["cat", "bird", 5],
        ["dog", "cat", 2],
        ["dog", "bird", 2],
    ]


def test_a_database_of_its_own_counts_each_image_once() -> None:
    labels = np.eye(3, dtype=int)[[0, 1, 2, 0]]
    splits = ["train", "database", "database_val", "test"]
    found = summarise_statistics(dataset_statistics(make(labels, splits)))
    assert disjoint_splits(found["splits"]) == ("database", "test")
    assert found["splits"]["all"]["images"] == 4
    assert found["class_frequency"]["dog"] == {
        **{"train": 1, "database": 1, "val": 0, "test": 1, "all": 2}
    }
    assert set(found["label_shift"]) == {"val/train", "test/train", "test/database"}


def statistics_text(title: str, found: dict[str, Any]) -> str:
    return as_text(statistics_parts(title, found), width=100)


def test_nothing_is_described_too() -> None:
    found = summarise_statistics(dataset_statistics(make(np.zeros((0, 3)), [])))
    assert found["splits"]["all"]["images"] == 0
    json.dumps(found, allow_nan=False)
    assert "all" in statistics_text("nothing", found)


def test_as_text() -> None:
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]])
    text = statistics_text(
        "pets", summarise_statistics(dataset_statistics(make(labels, ["train", "val", "test"])))
    )
    lines = text.splitlines()
    assert lines[0] == "pets: train 1, val 1, test 1, total 3"
    assert "all         3         0             1.67          1.67" in text
    assert "val/train             0.5000  dog x1.00; in one only: cat" in text
    assert "dog + cat            1" in text
    assert "cat        1    0     1    2" in text
    assert lines[-1] == "images that two splits share: train/val 0, train/test 0, val/test 0"
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.skipif(not COCO.is_dir(), reason=f"{COCO.name} is not beside the project")
def test_the_known_figures_of_coco() -> None:
    """Of the 122,218 images that have a label; the 1,069 others change the mean per image only."""
    with np.load(COCO / "labels80_trainval2014.npz", allow_pickle=False) as stored:
        labels = np.unpackbits(stored["labels"], axis=1)[:, :80]
        names = tuple(stored["category_names"].tolist())
        splits = np.where(stored["is_val"], "test", "train")
    splits[:5000] = np.where(splits[:5000] == "train", "val", splits[:5000])
    found = summarise_statistics(dataset_statistics(make(labels, splits.tolist(), names)))
    classes = found["class_frequency"]
    assert next(iter(classes)) == "person"
    assert classes["person"]["all"] == 66_808
    assert list(classes)[-1] == "hair drier"
    assert classes["hair drier"]["all"] == 198
    whole = found["splits"]["all"]
    assert whole["images"] == whole["labelled"] == 122_218
    assert round(whole["labels_per_image"]["mean"], 2) == 2.93
    assert found["label_shift"]["test/train"]["total_variation"] < 0.02
    assert len(found["co_occurrence_train"]) == 10
