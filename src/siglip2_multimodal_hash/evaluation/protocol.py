"""The figures of one predictor or one set of codes, as nested dicts of plain numbers.

Whatever is tuned is tuned on val and applied to test.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import (
    check_labels,
    check_positives,
    check_scores,
    check_size,
    check_unit_interval,
)
from siglip2_multimodal_hash.evaluation.average_precision import (
    chance_mean_average_precision,
    mean_average_precision,
    micro_average_precision,
)
from siglip2_multimodal_hash.evaluation.classification import (
    expected_calibration_error,
    label_ranking_figures,
)
from siglip2_multimodal_hash.evaluation.decisions import (
    at_threshold,
    precision_recall_at,
    subset_figures,
    top_n,
    tune_threshold,
)
from siglip2_multimodal_hash.evaluation.ranking import Retrieval, evaluate_codes, evaluate_vectors

Figures = dict[str, Any]

TOP_LABELS = 3


def evaluate_predictions(
    scores_val: npt.NDArray[Any],
    labels_val: npt.NDArray[Any],
    scores_test: npt.NDArray[Any],
    labels_test: npt.NDArray[Any],
    *,
    top_n_tags: int,
    fixed_threshold: float | None = None,
) -> Figures:
    """Classification figures of one predictor (knn, mlp, hybrid, zero-shot).

    Args:
        scores_val: In [0, 1], float [N_val, C].
        labels_val: uint8 [N_val, C].
        scores_test: In [0, 1], float [N_test, C].
        labels_test: uint8 [N_test, C].
        top_n_tags: ``knn.top_n_tags``, the n of P@n and R@n.
        fixed_threshold: A second threshold beside the tuned one: 0.5 for a sigmoid, else None.

    Returns:
        ``{"threshold": {"tuned": t[, "fixed": t]}, "val": {...}, "test": {...}}``. A split has
        ``mAP``, ``mAP_micro``, ``mAP_chance``, ``classes_without_positives``, ``images``,
        ``images_without_labels``, ``lrap``, ``coverage_error``, ``ranking_loss``, ``ece``,
        ``P@n``, ``R@n``, and the groups ``tuned_threshold``, ``fixed_threshold`` (each with CP,
        CR, CF1, OP, OR, OF1, f1_macro, f1_micro, hamming_loss, subset_accuracy) and ``top3``
        (without the last two).

    Raises:
        InputError: ``top_n_tags`` is more than C.
        DataError: NaN, scores outside [0, 1], labels other than 0 and 1, shapes that differ, or a
            split without any positive. The message names the split.
    """
    splits = {"val": (scores_val, labels_val), "test": (scores_test, labels_test)}
    for split, (scores, labels) in splits.items():
        check_scores(f"scores of {split}", scores, f"labels of {split}", labels)
        check_unit_interval(f"scores of {split}", scores)
        name = f"labels of {split}"
        check_positives(name, bool(check_labels(name, labels).any()))
    check_size("classes of test", labels_test.shape[1], "of val", labels_val.shape[1])
    thresholds = {"tuned": tune_threshold(scores_val, labels_val)}
    if fixed_threshold is not None:
        thresholds["fixed"] = float(fixed_threshold)
    figures: Figures = {"threshold": thresholds}
    for split, (scores, labels) in splits.items():
        figures[split] = _split_figures(scores, labels, thresholds, top_n_tags)
    return figures


def evaluate_retrieval(
    query_codes: npt.NDArray[Any],
    database_codes: npt.NDArray[Any],
    query_labels: npt.NDArray[Any],
    database_labels: npt.NDArray[Any],
) -> Retrieval:
    """Evaluate retrieval by packed codes (Hamming distance) or by float vectors (cosine).

    Args:
        query_codes: uint8 [Q, bits / 8] or float [Q, D].
        database_codes: uint8 [N, bits / 8] or float [N, D].
        query_labels: uint8 [Q, C].
        database_labels: uint8 [N, C].

    Returns:
        ``.figures()`` is a dict of plain numbers, ``.curve`` is for plots, ``.per_query`` for
        significance tests; see :mod:`.ranking`.

    Raises:
        DataError: No query has a relevant item, or arrays that do not fit each other.
    """
    evaluate = evaluate_codes if query_codes.dtype == np.uint8 else evaluate_vectors
    return evaluate(query_codes, database_codes, query_labels, database_labels)


def _split_figures(
    scores: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    thresholds: dict[str, float],
    top_n_tags: int,
) -> Figures:
    mean = mean_average_precision(scores, labels)
    figures: Figures = {
        "mAP": mean.value,
        "mAP_micro": micro_average_precision(scores, labels),
        "mAP_chance": chance_mean_average_precision(labels),
        "classes_without_positives": mean.classes_without_positives,
        "images": len(labels),
        "images_without_labels": int((~labels.any(axis=1)).sum()),
        **label_ranking_figures(scores, labels),
        "ece": expected_calibration_error(scores, labels),
        **precision_recall_at(scores, labels, top_n_tags),
    }
    for name, threshold in thresholds.items():
        figures[f"{name}_threshold"] = at_threshold(
            scores, labels, threshold
        ).figures() | subset_figures(scores, labels, threshold)
    if labels.shape[1] >= TOP_LABELS:
        figures[f"top{TOP_LABELS}"] = top_n(scores, labels, TOP_LABELS).figures()
    return figures
