"""A damaged statistics.json is refused by name, never half-read."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.index import make_index
from siglip2_multimodal_hash.datasets.statistics import dataset_statistics
from siglip2_multimodal_hash.datasets.statistics_file import read_statistics
from siglip2_multimodal_hash.datasets.statistics_summary import summarise_statistics
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.reporting.statistics_table import statistics_text

SPLITS = ["train", "restval", "val", "test", "test"]
DATABASE = ["train", "database", "database_val", "test"]
REMOVED = object()


def make(splits: list[str]) -> dict[str, Any]:
    length = len(splits)
    columns = {
        "image_id": range(length),
        "file_name": [f"{number}.jpg" for number in range(length)],
        "split": splits,
        **dict.fromkeys(("width", "height", "bytes"), [1] * length),
    }
    labels = np.array([[1, 1], [0, 1], [1, 0], [1, 1], [0, 0]], np.uint8)[:length]
    return dataset_statistics(
        make_index(columns, [["a dog"]] * length, labels, (1, 2), ("dog", "cat"))
    )


@pytest.mark.parametrize("splits", [SPLITS, DATABASE, []])
def test_what_was_written_is_read(splits: list[str], tmp_path: Path) -> None:
    written = make(splits)
    write_json(tmp_path / "statistics.json", written)
    assert read_statistics(tmp_path / "statistics.json") == written


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and position in nested dicts and lists."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (*before, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*before, key))


@pytest.mark.parametrize("splits", [SPLITS, DATABASE])
@pytest.mark.parametrize("wrong", [None, [], {}, "x", -1, True, [1], {"a": 1}, 1e999, REMOVED])
def test_any_one_wrong_value_is_refused_or_harmless(
    wrong: Any, splits: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "statistics.json"
    good = make(splits)
    refused: list[str] = []
    for place in places(good):
        content = copy.deepcopy(good)
        target: Any = content
        for key in place[:-1]:
            target = target[key]
        if wrong is REMOVED:
            del target[place[-1]]
        else:
            target[place[-1]] = wrong
        path.write_text(json.dumps(content), encoding="utf-8")
        try:
            summary = summarise_statistics(read_statistics(path))
        except DataError as error:
            refused.append(str(error))
            continue
        statistics_text("pets", summary)
        json.dumps(summary, allow_nan=False)
    assert len(refused) > 50
    assert all(message.startswith(f"{path}: ") for message in refused)


@pytest.mark.parametrize(
    ("place", "wrong", "message"),
    [
        (("splits", "val", "class_frequency"), [1], "splits.val.class_frequency has 1 entries"),
        (("splits", "val", "class_frequency", 0), 9, "splits.val.class_frequency exceeds"),
        (("splits", "val", "unlabelled"), 7, "splits.val: labelled + unlabelled is not images"),
        (("splits", "val", "labels_per_image", "histogram"), [5], "does not add up to images"),
        (
            ("splits", "val", "labels_per_image", "mean"),
            None,
            "labels_per_image.mean is None, of 1",
        ),
        (("co_occurrence_train",), [[1]], "co_occurrence_train is not 2 x 2"),
        (("splits", "val", "images"), 1.5, "splits.val.images = 1.5"),
        (("splits", "val"), None, "splits.val = None: must be an object"),
        (("splits", "dev"), {}, "splits.dev"),
        (("categories", 1), "dog", "categories holds a name twice"),
    ],
)
def test_the_place_is_named(
    place: tuple[Any, ...], wrong: Any, message: str, tmp_path: Path
) -> None:
    content = make(SPLITS)
    target: Any = content
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = wrong
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_statistics(path)
    assert message in str(caught.value)
    assert "run `dvc repro build_dataset_index`" in str(caught.value)


def test_no_object_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    with pytest.raises(DataError, match="no such file"):
        read_statistics(path)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match=r"the top level = \[\]: must be an object"):
        read_statistics(path)
