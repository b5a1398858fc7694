"""Two runs on the same images: figures, paired intervals, and the classes that moved."""

import numpy as np
import pytest

from siglip2_multimodal_hash.arrays import Floats
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.evaluation.comparison import compare
from siglip2_multimodal_hash.evaluation.decisions import at_threshold
from siglip2_multimodal_hash.evaluation.items import ItemResults, Items
from siglip2_multimodal_hash.params import PREDICTORS

COUNT = 80
LABELS = (np.random.default_rng(0).random((COUNT, 5)) < 0.3).astype(np.uint8)
LABELS[:, 4] = 0
NAMES = ("cat", "dog", "bus", "kite", "unicorn")


def a_run(seed: int, signal: float = 0.3, **retrieval: Floats) -> ItemResults:
    generator = np.random.default_rng(seed)
    scores = {
        name: (signal * LABELS + (1 - signal) * generator.random(LABELS.shape)).astype(np.float32)
        for name in PREDICTORS
    }
    precisions = retrieval.get("retrieval", 0.5 + 0.3 * signal + 0.1 * generator.random(COUNT))
    items = Items(np.arange(COUNT), LABELS, NAMES)
    return ItemResults(items, scores, dict.fromkeys(PREDICTORS, 0.6), precisions)


def test_the_values_are_those_of_the_plain_figures() -> None:
    a, b = a_run(1), a_run(2)
    figures = {one.name: one for one in compare([a], [b], draws=20).figures}
    assert list(figures) == [
        *("knn mAP", "mlp mAP", "hybrid mAP", "knn CF1", "mlp CF1", "hybrid CF1"),
        "retrieval mAP@all",
    ]
    for run, side in ((a, "a"), (b, "b")):
        (found,) = getattr(figures["mlp mAP"], side)
        assert found == pytest.approx(mean_average_precision(run.scores["mlp"], LABELS).value)
        (found,) = getattr(figures["knn CF1"], side)
        expected = at_threshold(run.scores["knn"], LABELS, 0.6).figures()["CF1"]
        assert found == pytest.approx(expected)
        (found,) = getattr(figures["retrieval mAP@all"], side)
        assert found == pytest.approx(run.retrieval.mean())
    for one in figures.values():
        assert one.difference.value == pytest.approx(one.b[0] - one.a[0])


def test_a_clear_difference_stands_and_noise_does_not() -> None:
    better = compare([a_run(1, 0.2)], [a_run(2, 0.6)], draws=200)
    assert all(one.difference.shown and one.difference.low > 0 for one in better.figures)
    same = compare([a_run(1)], [a_run(1)], draws=50)
    assert not any(one.difference.shown for one in same.figures)
    assert {one.difference.high for one in same.figures} == {0}
    assert same.moved == ()


def test_seeds_are_averaged_before_the_difference() -> None:
    a, b = [a_run(1), a_run(2)], [a_run(3), a_run(4), a_run(5)]
    found = compare(a, b, metrics=("mAP",), draws=20).figures[0]
    assert (len(found.a), len(found.b)) == (2, 3)
    assert found.difference.value == pytest.approx(np.mean(found.b) - np.mean(found.a))


def test_equal_runs_in_another_order_do_not_differ() -> None:
    runs = [a_run(1), a_run(2), a_run(3)]
    found = compare(runs, runs[::-1], metrics=("mAP", "retrieval"), draws=50)
    assert {(one.difference.low, one.difference.high) for one in found.figures} == {(0, 0)}


def test_draws_do_not_depend_on_the_threads_and_are_counted() -> None:
    calls: list[int] = []
    first = compare([a_run(1)], [a_run(2)], draws=30, drawn=lambda: calls.append(1))
    assert len(calls) == 30
    assert first == compare([a_run(1)], [a_run(2)], draws=30)


def test_queries_without_anything_relevant_are_left_out_of_every_draw() -> None:
    first, second = np.full(COUNT, 0.5), np.full(COUNT, 0.75)
    first[:40] = second[:40] = np.nan
    found = compare([a_run(1, retrieval=first)], [a_run(1, retrieval=second)], draws=20)
    retrieval = found.figures[-1]
    assert (retrieval.a, retrieval.b, found.queries) == ((0.5,), (0.75,), 40)
    assert retrieval.difference.low == retrieval.difference.high == pytest.approx(0.25)


def test_the_class_that_moved_is_named_with_its_support() -> None:
    a = a_run(1)
    b = a_run(1)
    b.scores["knn"][:, 2] = LABELS[:, 2]
    (moved,) = compare([a], [b], draws=2).moved
    assert (moved.predictor, moved.name, moved.b) == ("knn", "bus", 1)
    assert moved.images == LABELS[:, 2].sum()


def test_other_databases_are_refused() -> None:
    other = np.full(COUNT, 0.5)
    other[7] = np.nan
    with pytest.raises(DataError, match="1 test images, the first with id 7"):
        compare([a_run(1)], [a_run(1, retrieval=other)], draws=2)
