"""The thresholds of a ranking: what average precision is made of, for every room that needs it.

Equal scores form one threshold, so the order of the rows changes nothing.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def admitted_precision(
    scores: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The precision at which each positive is admitted, by falling score.

    Average precision, AP = sum over thresholds t of (R_t - R_{t-1}) * P_t as scikit-learn defines
    it, is the mean over the positives of the precision at the threshold that first admits them:
    the one at the end of their group of equal scores. The callers sum, because NumPy adds in
    another order along another axis, and their figures are compared to the last bit.

    Args:
        scores: float [C, N], finite; a row is a class.
        labels: bool or int [C, N] of 0 and 1.

    Returns:
        That precision where there is a positive and 0 elsewhere, float64 [C, N]; and the number
        of positives, int64 [C].
    """
    order = np.argsort(-scores, axis=1)
    ranked = np.take_along_axis(scores, order, axis=1)
    hits = np.take_along_axis(labels, order, axis=1)
    precision = np.cumsum(hits, axis=1, dtype=np.int64) / np.arange(1, scores.shape[1] + 1)
    at_end = np.take_along_axis(precision, group_ends(ranked), axis=1)
    return hits * at_end, hits.sum(axis=1, dtype=np.int64)


def mean_over_positives(totals: Floats, positives: npt.NDArray[np.int64]) -> Floats:
    """Sums over positives [C] divided by their number; NaN where there is none."""
    result: Floats = np.full(len(positives), np.nan)
    np.divide(totals, positives, out=result, where=positives > 0)
    return result


def group_ends(ranked: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """For each place of sorted rows [C, N], the last place with an equal value; int64 [C, N]."""
    last = ranked.shape[1] - 1
    places = np.arange(last)
    ends = np.full(ranked.shape, last, dtype=np.int64)
    ends[:, :-1] = np.where(ranked[:, 1:] != ranked[:, :-1], places, last)
    return np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
