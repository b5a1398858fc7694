"""Is one run better than another on the same test items? Paired bootstrap over items.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.histograms import in_threads
from siglip2_multimodal_hash.retrieval.checks import check_labels, check_scores, check_size
from siglip2_multimodal_hash.thresholds import Floats, group_ends

DRAWS = 2000
INTERVAL = (0.025, 0.975)

Weights = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """A difference of two figures, ``a - b``, and its 95% interval.

    Attributes:
        value: On the items as they are.
        low: 2.5% quantile over the draws.
        high: 97.5% quantile.
    """

    value: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval excludes 0; if not, no difference is shown."""
        return self.low > 0 or self.high < 0


def map_difference(
    scores_a: npt.NDArray[Any],
    scores_b: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    *,
    seed: int,
    draws: int = DRAWS,
) -> Difference:
    """Difference of the macro mAP of two predictors on the same photos.

    A draw takes N photos with replacement, the same for both. Classes without a positive in a
    draw are left out of its mean.

    Args:
        scores_a: float [N, C].
        scores_b: float [N, C].
        labels: uint8 [N, C].
        seed: Of the draws.
        draws: Their number; 5,000 photos of 80 classes take some 10 ms a draw.

    Raises:
        DataError: No positive, or bad arrays.
    """
    labels = check_labels("labels", labels)
    if not labels.any():
        raise DataError("labels: no class has a positive, so mAP is undefined")
    first = _weighted_map(check_scores("scores a", scores_a, "labels", labels), labels)
    second = _weighted_map(check_scores("scores b", scores_b, "labels", labels), labels)
    return _bootstrap(lambda weights: first(weights) - second(weights), len(labels), seed, draws)


def mean_difference(
    values_a: npt.NDArray[Any], values_b: npt.NDArray[Any], *, seed: int, draws: int = DRAWS
) -> Difference:
    """Difference of the means of a figure that each query has, such as AP in retrieval.

    Args:
        values_a: float [Q].
        values_b: float [Q], of the same queries.
        seed: Of the draws.
        draws: Their number.

    Raises:
        DataError: The lengths differ, or there is no query.
    """
    check_size("length of values a", values_a.shape, "of values b", values_b.shape)
    if values_a.ndim != 1 or not len(values_a):
        raise DataError(f"values a: shape {values_a.shape}, expected one value a query")
    gaps = values_a.astype(np.float64) - values_b
    return _bootstrap(
        lambda weights: float((weights * gaps).sum() / len(gaps)), len(gaps), seed, draws
    )


def _bootstrap(
    statistic: Callable[[Weights], float], items: int, seed: int, draws: int
) -> Difference:
    """Value of ``statistic`` for weights of 1, and its interval over resampled weights [items]."""

    def draw(index: int) -> float:
        # A generator a draw: the same numbers however the draws are shared among threads. A draw
        # without any positive is as good as impossible, and repeats.
        generator = np.random.default_rng((seed, index))
        value = np.nan
        while np.isnan(value):
            chosen = generator.integers(items, size=items)
            value = statistic(np.bincount(chosen, minlength=items))
        return value

    low, high = np.quantile(in_threads(draw, range(draws)), INTERVAL)
    return Difference(statistic(np.ones(items, dtype=np.int64)), float(low), float(high))


def _weighted_map(scores: Floats, labels: npt.NDArray[np.uint8]) -> Callable[[Weights], float]:
    """Make mAP a function of how often each photo counts; the sorting is done once."""
    order = np.argsort(-scores.T, axis=1)
    ends = group_ends(np.take_along_axis(np.ascontiguousarray(scores.T), order, axis=1))
    hits = np.take_along_axis(np.ascontiguousarray(labels.T), order, axis=1)

    def evaluate(weights: Weights) -> float:
        weight = weights[order]
        found = weight * hits
        seen = np.cumsum(weight, axis=1)
        precision = np.cumsum(found, axis=1) / np.maximum(seen, 1)
        positives = found.sum(axis=1)
        some = positives > 0
        sums = (found * np.take_along_axis(precision, ends, axis=1)).sum(axis=1)
        return float((sums[some] / positives[some]).mean()) if some.any() else np.nan

    return evaluate
