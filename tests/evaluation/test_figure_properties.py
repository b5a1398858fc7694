"""Properties of every figure: order, perfect predictions, agreement with scikit-learn."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from siglip2_multimodal_hash.evaluation.protocol import evaluate_predictions
from siglip2_multimodal_hash.evaluation.ranking import evaluate_codes
from siglip2_multimodal_hash.retrieval.codes import hamming_distances

Labels = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint8]

SEEDS = st.integers(0, 2**32 - 1)
RETRIEVAL = {
    *("mAP@all", "mAP@5000", "mAP@1000", "mAP@100"),
    *(f"mAP@{cutoff} (recall-normalised)" for cutoff in (5000, 1000, 100)),
    *("P@1", "P@10", "P@100", "P@1000", "NDCG@100"),
    *("precision@radius2", "recall@radius2", "empty@radius2"),
    *("chance", "queries", "queries_without_relevant"),
}
DECISIONS = {"CP", "CR", "CF1", "OP", "OR", "OF1", "f1_macro", "f1_micro"}
CLASSIFICATION = {
    *("mAP", "mAP_micro", "mAP_chance", "classes_without_positives"),
    *("images", "images_without_labels", "lrap", "coverage_error", "ranking_loss", "ece"),
    *("P@2", "R@2", "tuned_threshold", "fixed_threshold", "top3"),
}


def some_photos(seed: int, levels: int = 6) -> tuple[npt.NDArray[np.float32], Labels]:
    """Scores that tie, labels with an empty class and an empty photo."""
    generator = np.random.default_rng(seed)
    scores = (generator.integers(0, levels, (24, 5)) / levels).astype(np.float32)
    labels = (generator.random((24, 5)) < 0.4).astype(np.uint8)
    labels[0], labels[1], labels[:, 4] = 1, 0, 0
    return scores, labels


def figures_of(scores: npt.NDArray[Any], labels: Labels) -> dict[str, Any]:
    figures: dict[str, Any] = evaluate_predictions(
        scores, labels, scores, labels, top_n_tags=2, fixed_threshold=0.5
    )["test"]
    return figures


def flat(figures: dict[str, Any], prefix: str = "") -> dict[str, float]:
    items: dict[str, float] = {}
    for name, value in figures.items():
        nested = isinstance(value, dict)
        items |= flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return items


def some_codes(seed: int) -> tuple[Codes, Codes, Labels, Labels]:
    """Two bits that vary and 160 items: three distances, so nearly all are tied."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 4, (166, 1), dtype=np.uint8)
    labels = (generator.random((166, 6)) < 0.3).astype(np.uint8)
    labels[0], labels[1], labels[6] = 1, 0, 1
    return codes[:6], codes[6:], labels[:6], labels[6:]


def test_every_figure_has_its_name() -> None:
    assert set(evaluate_codes(*some_codes(0)).figures()) == RETRIEVAL
    figures = figures_of(*some_photos(0))
    assert set(figures) == CLASSIFICATION
    assert set(figures["top3"]) == DECISIONS
    for name in ("tuned_threshold", "fixed_threshold"):
        assert set(figures[name]) == DECISIONS | {"hamming_loss", "subset_accuracy"}


@given(SEEDS)
@settings(max_examples=30)
def test_the_order_of_photos_and_classes_changes_nothing(seed: int) -> None:
    scores, labels = some_photos(seed)
    generator = np.random.default_rng(seed)
    photos, classes = generator.permutation(24), generator.permutation(5)
    shuffled = figures_of(scores[photos][:, classes], labels[photos][:, classes])
    assert flat(shuffled) == pytest.approx(flat(figures_of(scores, labels)), abs=1e-12)


@given(SEEDS)
@settings(max_examples=30)
def test_the_order_within_a_distance_changes_nothing(seed: int) -> None:
    queries, database, query_labels, labels = some_codes(seed)
    generator = np.random.default_rng(seed)
    # Each code's items change places among themselves: the codes stay where they are.
    order = np.arange(len(database))
    for code in np.unique(database):
        rows = np.flatnonzero(database[:, 0] == code)
        order[rows] = generator.permutation(rows)
    assert np.array_equal(database[order], database)
    one = evaluate_codes(queries, database, query_labels, labels)
    other = evaluate_codes(queries, database, query_labels, labels[order])
    assert one.figures() == other.figures()
    assert np.array_equal(one.curve.precision, other.curve.precision)
    assert np.array_equal(one.curve.recall, other.curve.recall)


@given(SEEDS)
@settings(max_examples=30)
def test_turning_and_moving_bits_changes_nothing(seed: int) -> None:
    queries, database, query_labels, labels = some_codes(seed)
    one = evaluate_codes(queries, database, query_labels, labels).figures()
    turned = evaluate_codes(queries ^ 165, database ^ 165, query_labels, labels).figures()
    moved = evaluate_codes(queries << 5, database << 5, query_labels, labels).figures()
    assert one == turned == moved


@given(SEEDS, st.sampled_from([1, 3, 100]))
@settings(max_examples=30)
def test_normalised_gain_is_scikit_learns(seed: int, repeated: int) -> None:
    queries, database, query_labels, labels = some_codes(seed)
    database, labels = database[: max(2, 160 // repeated)], labels[: max(2, 160 // repeated)]
    result = evaluate_codes(queries, database, query_labels, labels)
    gains = query_labels.astype(int) @ labels.T
    distances = hamming_distances(queries, database).astype(float)
    for position, row in enumerate(result.rows):
        expected = ndcg_score(gains[row][None], -distances[row][None], k=100)
        assert result.per_query["NDCG@100"][position] == pytest.approx(expected, abs=1e-9)


@given(SEEDS)
@settings(max_examples=30)
def test_without_ties_average_precision_is_scikit_learns(seed: int) -> None:
    # Items at distances 0 to 64, one each, in a random order.
    steps = np.packbits(np.tril(np.ones((65, 64), dtype=np.uint8), -1), axis=1)
    generator = np.random.default_rng(seed)
    distances = generator.permutation(65)
    labels = (generator.random((65, 1)) < 0.3).astype(np.uint8)
    labels[0] = 1
    found = evaluate_codes(np.zeros((1, 8), np.uint8), steps[distances], labels[:1], labels)
    expected = average_precision_score(labels[:, 0], -distances.astype(float))
    for name in ("mAP@all", "mAP@100", "mAP@100 (recall-normalised)"):
        assert found.figures()[name] == pytest.approx(expected, abs=1e-9)


@given(SEEDS)
@settings(max_examples=30)
def test_perfect_scores_give_one(seed: int) -> None:
    labels = some_photos(seed)[1]
    figures = figures_of(labels.astype(np.float32), labels)
    for name in ("mAP", "mAP_micro", "lrap"):
        assert figures[name] == 1
    assert set(figures["tuned_threshold"].values()) == {0.0, 1.0}  # 0: the Hamming loss
    assert figures["tuned_threshold"]["hamming_loss"] == 0
    assert figures["ranking_loss"] == figures["ece"] == 0
    assert figures["coverage_error"] == pytest.approx(labels.sum(axis=1).mean())


@given(SEEDS)
@settings(max_examples=30)
def test_shares_lie_between_zero_and_one(seed: int) -> None:
    queries, database, query_labels, labels = some_codes(seed)
    found = flat(figures_of(*some_photos(seed))) | {
        name: value
        for name, value in evaluate_codes(queries, database, query_labels, labels).figures().items()
        if not name.startswith("queries")
    }
    counts = ("images", "images_without_labels", "classes_without_positives", "coverage_error")
    assert all(0 <= value <= 1 for name, value in found.items() if name not in counts)
