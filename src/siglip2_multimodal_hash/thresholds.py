"""The thresholds of a ranking: what average precision is made of, for every room that needs it.

Equal scores form one threshold, so the order of the rows changes nothing.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


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


def group_ends(ranked: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """For each place of sorted rows [C, N], the last place with an equal value; int64 [C, N]."""
    last = ranked.shape[1] - 1
    places = np.arange(last)
    ends = np.full(ranked.shape, last, dtype=np.int64)
    ends[:, :-1] = np.where(ranked[:, 1:] != ranked[:, :-1], places, last)
    return np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
