"""Errors by class, image, size and caption, on tables small enough to check by eye."""

import json

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.object_sizes import Shares
from siglip2_multimodal_hash.evaluation.caption_names import names_objects, plurals
from siglip2_multimodal_hash.evaluation.confusions import confusions
from siglip2_multimodal_hash.evaluation.error_analysis import analyse_errors
from siglip2_multimodal_hash.evaluation.groups import (
    by_label_count,
    by_size,
    item_f1,
    item_precision,
)
from siglip2_multimodal_hash.evaluation.items import Items

NAMES = ("cat", "dog", "bus")
# Image 1: cat, tagged cat and dog. 2: cat, tagged dog. 3: cat and dog, tagged both.
# 4: bus, tagged bus. 5: nothing, tagged nothing.
LABELS = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.uint8)
SCORES = np.array(
    [[0.9, 0.6, 0.1], [0.2, 0.7, 0.3], [0.8, 0.9, 0.0], [0.1, 0.2, 0.9], [0.1, 0.1, 0.1]],
    dtype=np.float32,
)
DECIDED = SCORES >= 0.5
NAN = float("nan")
SHARES = Shares(
    largest=np.array(
        [[0.5, NAN, NAN], [0.005, NAN, NAN], [0.16, 0.01, NAN], [NAN, NAN, NAN], [NAN] * 3]
    ),
    smallest=np.array([0.5, 0.005, 0.01, NAN, NAN]),
    median=np.array([0.5, 0.005, 0.085, NAN, NAN]),
)
CAPTIONS = [["Two CATS asleep"], ["a kitten"], ["cat, dog"], ["a bush"], ["a dog"]]


def test_confusions_by_hand() -> None:
    cat, dog, bus = confusions(LABELS, DECIDED, NAMES)
    # Two images of a cat are tagged dog without one, of the two that show none. Of all four images
    # without a dog, half are tagged so: one of two was to be expected. One in three shows both.
    assert cat == [
        {
            "category": "dog",
            "images": 2,
            "expected": 1.0,
            "share": 1.0,
            "co_occurrence": pytest.approx(1 / 3),
        }
    ]
    assert (dog, bus) == ([], [])


def test_figures_of_one_image() -> None:
    # 1: 1 hit of 2 tags and 1 label. 2: none. 3 and 4: all right. 5: rightly nothing.
    assert item_f1(LABELS, DECIDED).tolist() == [pytest.approx(2 / 3), 0, 1, 1, 1]
    # The cat of image 2 comes third of three.
    np.testing.assert_allclose(item_precision(LABELS, SCORES), [1, 1 / 3, 1, 1, NAN], rtol=1e-12)


def test_groups_hold_every_image_once() -> None:
    counts = dict(by_label_count(np.array([[0] * 8, [1] * 8, [1, 1] + [0] * 6], dtype=np.uint8)))
    assert counts["0"].tolist() == [True, False, False]
    assert counts["2"].tolist() == [False, False, True]
    assert counts["6 or more"].tolist() == [False, True, False]
    sizes = dict(by_size(np.array([0.0, 0.0099, 0.01, 0.04, 0.16, 1.0, NAN])))
    assert [np.flatnonzero(mask).tolist() for mask in sizes.values()] == [[0, 1], [2], [3], [4, 5]]


@pytest.mark.parametrize(
    ("caption", "name", "expected"),
    [
        ("Two dogs.", "dog", True),
        ("a hotdog", "dog", False),
        ("some hot  Dogs", "hot dog", True),
        ("a hot, lazy dog", "hot dog", False),
        ("people wait", "person", True),
        ("sharp knives", "knife", True),
        ("three giraffes", "giraffe", True),
        ("two buses", "bus", True),
        ("benches", "bench", True),
        ("a teddy-bear", "teddy bear", True),
        ("puppies", "puppy", True),
        ("a busy street", "bus", False),
        ("anything", "?", False),
    ],
)
def test_words_that_name_a_category(caption: str, name: str, expected: bool) -> None:
    assert names_objects([[caption]], [name]).tolist() == [[expected]]


def test_any_of_the_captions_may_name_it_but_no_two_together() -> None:
    found = names_objects([["a hot", "dog"], ["a cat", "a dog"], []], ["hot dog", "dog"])
    assert found.tolist() == [[False, True], [False, True], [False, False]]
    assert plurals("scarf") == ("scarves", "scarfs")


def test_the_whole_analysis() -> None:
    found = analyse_errors(
        Items(np.arange(1, 6), LABELS, NAMES),
        {"knn": SCORES, "mlp": LABELS.astype(np.float32)},
        {"knn": 0.5, "mlp": 0.5},
        CAPTIONS,
        SHARES,
    )
    json.dumps(found, allow_nan=False)
    assert [(one["category"], one["images"]) for one in found["classes"]] == [
        *(("cat", 3), ("dog", 1), ("bus", 1))
    ]
    assert found["classes"][0]["AP"] == {"knn": pytest.approx(1.0), "mlp": 1.0}
    worst = found["worst"]["knn"]
    assert [one["image_id"] for one in worst] == [2, 1, 3, 4]
    assert worst[0] == {
        "image_id": 2,
        "AP": pytest.approx(1 / 3),
        "F1": 0.0,
        "true": ["cat"],
        "predicted": ["dog"],
    }
    groups = found["groups"]
    nothing, one, two = groups["label_count"]
    assert (nothing["group"], nothing["images"], nothing["knn"]) == ("0", 1, {"AP": None, "F1": 1})
    assert (one["group"], one["images"]) == ("1", 3)
    assert one["knn"]["F1"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert (two["group"], two["mlp"]) == ("2", {"AP": 1, "F1": 1})
    # The small cat is missed; the dog of 1% and the cats of 16% and 50% are found.
    assert [
        (one["group"], one["labels"], one["knn"]["recall"]) for one in groups["object_size"]
    ] == [*(("below 1%", 1, 0.0), ("1% to 4%", 1, 1.0), ("16% and more", 2, 1.0))]
    assert [one["images"] for one in groups["smallest_object"]] == [1, 1, 1]
    assert [one["group"] for one in groups["median_object"]] == [
        *("below 1%", "4% to 16%", "16% and more")
    ]
    # Named: the cats of 1 and 3, the dog of 3. Not named: the kitten (missed) and the bus.
    assert [(one["group"], one["labels"], one["knn"]["recall"]) for one in groups["caption"]] == [
        *(("named", 3, 1.0), ("not named", 2, 0.5))
    ]


def test_a_class_without_a_positive_has_no_precision() -> None:
    labels = LABELS.copy()
    labels[:, 2] = 0
    unknown = Shares(np.full((5, 3), NAN), np.full(5, NAN), np.full(5, NAN))
    found = analyse_errors(
        Items(np.arange(5), labels, NAMES), {"knn": SCORES}, {"knn": 0.5}, CAPTIONS, unknown
    )
    assert found["classes"][2]["AP"] == {"knn": None}
    assert found["groups"]["object_size"] == []
