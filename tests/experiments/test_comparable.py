"""Rules of a comparison, with experiments made by hand."""

from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.arrays import Labels
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.items import ItemResults, Items
from siglip2_multimodal_hash.experiments.comparable import (
    Experiment,
    check_comparable,
    check_seeds,
    differing,
    effective,
    seeds_alone,
)

LABELS = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.uint8)


def an_experiment(
    name: str,
    ids: tuple[int, ...] = (10, 20, 30),
    labels: Labels = LABELS,
    categories: tuple[str, ...] = ("cat", "dog"),
    **params: Any,
) -> Experiment:
    known = {"dataset.name": "tiny", "dataset.protocol": "karpathy", "knn.K": 20, "seed": 1}
    changed = {key.replace("__", "."): value for key, value in params.items()}
    results = ItemResults(Items(np.array(ids), labels, categories), {}, {}, np.zeros(len(ids)))
    return Experiment(name, known | changed, results)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            an_experiment("b", dataset__kind="coco2014", dataset__name="coco2014"),
            "different datasets: dataset.name is tiny in a and coco2014 in b",
        ),
        (
            an_experiment("b", dataset__protocol="hashnet"),
            "different protocols: dataset.protocol is karpathy in a and hashnet in b",
        ),
        (
            an_experiment("b", (10, 25, 30)),
            "different test images: a and b have 3 and 3, of which 2 are in one only, the first: "
            "image id 20",
        ),
        (
            an_experiment("b", (10, 20), LABELS[:2]),
            "have 3 and 2, of which 1 are in one only, the first: image id 30",
        ),
        (
            an_experiment("b", labels=np.array([[1, 0], [1, 1], [1, 1]], dtype=np.uint8)),
            "a and b have other labels for 1 test images, the first: image id 20",
        ),
        (an_experiment("b", categories=("cat", "bus")), "different categories: those of a and b"),
    ],
)
def test_other_test_images_are_refused(other: Experiment, message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_comparable([an_experiment("a"), an_experiment("same", knn__K=5), other])
    assert message in str(caught.value)
    assert "\n  -> compare experiments" in str(caught.value)


def test_a_group_is_one_setting_with_several_seeds() -> None:
    one, two = an_experiment("a"), an_experiment("b", seed=2, runtime__device="cuda")
    check_seeds([one, two])
    with pytest.raises(InputError, match=r"a and c differ in knn\.K, not in seed alone"):
        check_seeds([one, two, an_experiment("c", seed=3, knn__K=5)])
    with pytest.raises(InputError, match="b and c have the same seed, 2"):
        check_seeds([one, two, an_experiment("c", seed=2)])


def test_seeds_alone() -> None:
    one = an_experiment("a")
    assert seeds_alone([one], [an_experiment("b", seed=2, report__queries=5)])
    assert not seeds_alone([one], [an_experiment("b")])
    assert not seeds_alone([one], [an_experiment("b", seed=2, knn__K=5)])


def test_leaves_that_differ() -> None:
    found = differing({"a": 1, "runtime.x": 2, "c": [1]}, {"a": 1, "runtime.x": 3, "d": 4})
    assert found == {"runtime.x": (2, 3), "c": ([1], "(none)"), "d": ("(none)", 4)}
    assert list(effective(found)) == ["c", "d"]
