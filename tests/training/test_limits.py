"""Limits that a dataset sets to parameters, on counts that are checked by hand."""

from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import load_params, parse_params
from siglip2_multimodal_hash.training.limits import check_limits

PARAMS = load_params(Path(__file__).resolve().parents[2] / "params.yaml").model_dump(mode="json")


def counts(**changed: int) -> dict[str, Any]:
    """50 images to train on; a database of 70 more and 10 of val; 80 classes."""
    labelled = {"train": 50, "val": 10, "test": 10, "database": 130} | changed
    images = {"train": 50, "val": 10, "test": 10, "database": 130}
    return {
        "categories": [f"class {number}" for number in range(80)],
        "images": {"train": 50, "database": 70, "database_val": 10, "test": 10},
        "splits": {name: {"images": images[name], "labelled": labelled[name]} for name in images},
    }


def check(statistics: dict[str, Any], **changed: Any) -> None:
    raw = PARAMS
    for key, value in changed.items():
        section, _, rest = key.partition("__")
        inner, _, last = rest.rpartition("__")
        old = raw[section]
        new = old | {last: value} if not inner else old | {inner: old[inner] | {last: value}}
        raw = raw | {section: new}
    check_limits(parse_params(raw), statistics)


def test_the_largest_that_are_possible() -> None:
    # The queries of val are not searched in themselves: 130 - 10.
    at_most = {"index__ivf__nlist": 120, "index__kind": "ivf"}
    check(counts(), knn__K=120, knn__top_n_tags=80, training__batch_size=50, **at_most)
    check(counts(), training__batch_size=51, training__drop_last=False)
    # Without a database of its own, train is searched.
    alone = counts()
    del alone["splits"]["database"], alone["images"]["database_val"]
    check(alone, knn__K=50)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"knn__K": 121}, "knn.K = 121: the database has 120 items"),
        (
            {"index__kind": "ivf", "index__ivf__nlist": 121},
            "index.ivf.nlist = 121: the database has 120 items",
        ),
        (
            {"index__kind": "ivf", "index__ivf__nprobe": 12},
            "index.ivf.nprobe = 12: there are 11 clusters",
        ),
        (
            {"training__batch_size": 51, "training__drop_last": True},
            "training.batch_size = 51: there are only 50 training images",
        ),
    ],
)
def test_one_more_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        check(counts(), **changed)
    assert str(refused.value).startswith(message)


def test_fewer_classes_than_tags_a_photo() -> None:
    few = counts()
    few["categories"] = ["cat", "dog"]
    with pytest.raises(InputError, match=r"^knn\.top_n_tags = 3: there are 2 classes\n.*1 to 2"):
        check(few, knn__top_n_tags=3)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_without_labels(split: str) -> None:
    with pytest.raises(InputError, match=rf"^labels of {split}: no class has a positive"):
        check(counts(**{split: 0}))
