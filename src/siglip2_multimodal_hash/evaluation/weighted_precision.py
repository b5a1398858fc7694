"""Figures of tags as functions of how much each image counts: sorted once, then cheap.

A bootstrap asks for the same figure thousands of times, of the same scores with other weights.
Average precision needs one sort of the scores; after that only the running weight changes, and it
is needed only where a positive is admitted: O(N) per class, without a comparison. 20 draws of
1,000 photos of 80 classes take scikit-learn 145 to 170 times as long
(`benchmarks/scikit_learn.py`).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Floats, check_labels, check_scores
from siglip2_multimodal_hash.evaluation.decisions import Decisions

Weights = npt.NDArray[np.integer[Any]] | Floats


class WeightedPrecision:
    """Average precision of each class where image i counts ``weights[i]`` times.

    Equal to scikit-learn's ``average_precision_score(..., sample_weight=weights)``: equal scores
    form one threshold.

    Args:
        scores: float [N, C].
        labels: uint8 [N, C].

    Raises:
        DataError: NaN, labels other than 0 and 1, or shapes that differ.
    """

    def __init__(self, scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        labels = check_labels("labels", labels)
        falling = -np.ascontiguousarray(check_scores("scores", scores, "labels", labels).T)
        self._order = np.argsort(falling, axis=1)
        ends = _group_ends(np.take_along_axis(falling, self._order, axis=1))
        hits = np.take_along_axis(np.ascontiguousarray(labels.T), self._order, axis=1)
        # P positives, class by class, each class by falling score.
        self._classes, places = np.nonzero(hits)
        self._images = self._order[self._classes, places]
        classes, count = hits.shape
        # The place where the running weight of all images is read: the end of the positive's group.
        group_end = ends[self._classes, places]
        self._ends = self._classes * count + group_end
        # The same among the positives: behind the last one of the group, and of the class before.
        flat = self._classes * count
        self._last = np.searchsorted(flat + places, flat + group_end, side="right")
        self._first = np.searchsorted(self._classes, self._classes, side="left")
        self._size = classes

    def __call__(self, weights: Weights) -> Floats:
        """Average precision of each class, float64 [C]; NaN where its positives weigh nothing.

        Args:
            weights: int or float [N], at least 0.
        """
        # Sums of counts are exact in any type that holds N.
        kind = np.int32 if np.issubdtype(weights.dtype, np.integer) else np.float64
        seen = np.cumsum(weights.astype(kind)[self._order], axis=1, dtype=kind).ravel()[self._ends]
        weight = weights[self._images].astype(np.float64)
        found = np.concatenate([np.zeros(1), np.cumsum(weight)])
        found = found[self._last] - found[self._first]
        precision = np.divide(found, seen, out=np.zeros(len(found)), where=seen > 0)
        sums = np.bincount(self._classes, weight * precision, self._size)
        positives = np.bincount(self._classes, weight, self._size)
        result: Floats = np.full(self._size, np.nan)
        return np.divide(sums, positives, out=result, where=positives > 0)


class WeightedDecisions:
    """Decisions at a threshold where image i counts ``weights[i]`` times.

    Args:
        scores: float [N, C].
        labels: uint8 [N, C].
        threshold: A label is decided where its score is at least this.

    Raises:
        DataError: NaN, labels other than 0 and 1, or shapes that differ.
    """

    def __init__(
        self, scores: npt.NDArray[Any], labels: npt.NDArray[Any], threshold: float
    ) -> None:
        labels = check_labels("labels", labels)
        decided = check_scores("scores", scores, "labels", labels) >= threshold
        # Few of the C labels per image: their places cost less than the matrix.
        self._decided, self._positives = np.nonzero(decided), np.nonzero(labels)
        self._hits = np.nonzero(decided & labels.astype(bool))
        self._size = labels.shape[1]

    def __call__(self, weights: Weights) -> Decisions:
        """Count with these weights, int or float [N]."""

        def count(where: tuple[npt.NDArray[np.int64], ...]) -> Floats:
            images, classes = where
            # Of nothing, bincount gives whole numbers whatever the weights are.
            return np.bincount(classes, weights[images], self._size).astype(np.float64)

        return Decisions(count(self._hits), count(self._decided), count(self._positives))


def _group_ends(ranked: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """For each place of sorted rows [C, N], the last place with an equal value; int64 [C, N]."""
    last = ranked.shape[1] - 1
    places = np.arange(last)
    ends = np.full(ranked.shape, last, dtype=np.int64)
    ends[:, :-1] = np.where(ranked[:, 1:] != ranked[:, :-1], places, last)
    return np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
