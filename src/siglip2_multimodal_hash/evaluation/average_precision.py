"""Average precision of classes, its means, and the curve behind it.

N images, C classes; scores float [N, C] (the higher, the likelier), labels uint8 [N, C]. Equal
scores form one threshold, as in scikit-learn's ``average_precision_score``: the order of the rows
changes nothing. KNN votes tie often, and code that walks a sorted list row by row instead can be
off by several points there. The values are scikit-learn's; the code is not, because every epoch and
every vote of the grid asks for them: 1,000 photos of 80 classes take
scikit-learn 22 to 36 times as long (`benchmarks/scikit_learn.py`).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Floats, check_labels, check_scores
from siglip2_multimodal_hash.errors import DataError


class MeanAveragePrecision(NamedTuple):
    """Mean over the classes with at least one positive, and how many classes that left out."""

    value: float
    classes_without_positives: int


class Curve(NamedTuple):
    """Points of a precision-recall curve, by falling threshold; float64 [P] each.

    A decision is positive where the score is at least the threshold.
    """

    thresholds: Floats
    precision: Floats
    recall: Floats


def average_precisions(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Floats:
    """Average precision of each class: AP = sum over thresholds t of (R_t - R_{t-1}) * P_t.

    Args:
        scores: float [N, C].
        labels: uint8 [N, C].

    Returns:
        float64 [C]; NaN for a class without a positive, for which AP is undefined.

    Raises:
        DataError: NaN, labels other than 0 and 1, or shapes that differ.
    """
    labels = check_labels("labels", labels)
    scores = check_scores("scores", scores, "labels", labels)
    return average_precision_of_rows(np.ascontiguousarray(scores.T), np.ascontiguousarray(labels.T))


def average_precision_of_rows(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Floats:
    """Average precision of each row of scores, as scikit-learn defines it.

    AP = sum over thresholds t of (R_t - R_{t-1}) * P_t is the mean over the positives of the
    precision at the threshold that first admits them: of the scores that are at least theirs, the
    share that is positive. Both are counted in sorted scores, so nothing but scores is sorted, and
    the order of the columns does not change a bit of the result.

    Args:
        scores: float [C, N], finite; a row is a class.
        labels: bool or int [C, N] of 0 and 1.

    Returns:
        float64 [C]; NaN for a row without a positive, for which AP is undefined.
    """
    result: Floats = np.full(len(scores), np.nan)
    columns = scores.shape[1]
    for row, (own, truth) in enumerate(zip(np.sort(scores, axis=1), labels > 0, strict=True)):
        admitted = scores[row, truth]
        positives = len(admitted)
        if positives:
            admitted.sort()
            decided = columns - own.searchsorted(admitted)
            hits = positives - admitted.searchsorted(admitted)
            result[row] = (hits / decided).sum() / positives
    return result


def mean_average_precision(
    scores: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> MeanAveragePrecision:
    """Macro mAP; see :func:`average_precisions`.

    Raises:
        DataError: No class has a positive, or bad arrays.
    """
    per_class = average_precisions(scores, labels)
    defined = ~np.isnan(per_class)
    if not defined.any():
        raise DataError("labels: no class has a positive, so mAP is undefined")
    return MeanAveragePrecision(float(per_class[defined].mean()), int((~defined).sum()))


def chance_mean_average_precision(labels: npt.NDArray[Any]) -> float:
    """Macro mAP of equal scores for all: the mean prevalence of the classes with a positive.

    A random order has a slightly higher expectation, by some log(N) / N per class.
    """
    prevalence = check_labels("labels", labels).mean(axis=0)
    return float(prevalence[prevalence > 0].mean())


def micro_average_precision(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """Average precision over all N * C decisions at once.

    Raises:
        DataError: No positive, or bad arrays.
    """
    return mean_average_precision(scores.reshape(-1, 1), labels.reshape(-1, 1)).value


def micro_curve(scores: npt.NDArray[Any], labels: npt.NDArray[Any], points: int = 200) -> Curve:
    """Precision and recall of all N * C decisions, at every distinct score or a selection of them.

    Args:
        scores: float [N, C].
        labels: uint8 [N, C].
        points: The most points, at least 2. A longer curve is thinned to the points whose recall
            is next to evenly spaced values; no point is interpolated.

    Returns:
        From the highest score to the first threshold with recall 1, both always there.

    Raises:
        DataError: No positive, or bad arrays.
    """
    thresholds, decided, hits = threshold_counts(scores, labels)
    precision, recall = hits / decided, hits / hits[-1]
    keep = np.arange(np.searchsorted(recall, 1.0) + 1)
    if len(keep) > points:
        keep = np.unique(np.searchsorted(recall, np.linspace(recall[0], 1, points)))
    return Curve(thresholds[keep], precision[keep], recall[keep])


def threshold_counts(
    scores: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count what each distinct score decides as the threshold, over all N * C decisions.

    Returns:
        The T distinct scores, falling, float64 [T]; for each, the decisions with at least that
        score, and how many of them are right; int64 [T].

    Raises:
        DataError: No positive, or bad arrays.
    """
    labels = check_labels("labels", labels)
    scores = check_scores("scores", scores, "labels", labels)
    if not labels.any():
        raise DataError("labels: no class has a positive, so no threshold is better than another")
    flat = scores.ravel()
    order = np.argsort(-flat)
    ranked = flat[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(labels.ravel()[order], dtype=np.int64)[ends]
    return ranked[ends], ends + 1, hits
