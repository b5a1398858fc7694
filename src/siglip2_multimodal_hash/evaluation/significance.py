"""Paired bootstrap over test items: is one run better than another on the same items?

Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Floats, check_size
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.histograms import in_threads

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
        """True if the interval excludes 0; if not, no difference is shown."""
        return self.low > 0 or self.high < 0


def mean_difference(
    values_a: npt.NDArray[Any], values_b: npt.NDArray[Any], *, seed: int
) -> Difference:
    """Difference of the means of a figure that each query has, such as AP in retrieval.

    Args:
        values_a: float [Q].
        values_b: float [Q], of the same queries.
        seed: Of the draws.

    Raises:
        DataError: The lengths differ, or there is no query.
    """
    check_size("length of values a", values_a.shape, "of values b", values_b.shape)
    if values_a.ndim != 1 or not len(values_a):
        raise DataError(f"values a: shape {values_a.shape}, expected one value per query")
    gaps = values_a.astype(np.float64) - values_b
    return bootstrap(
        lambda weights: np.array([(weights * gaps).sum() / len(gaps)]),
        len(gaps),
        seed=seed,
    )[0]


def mean_of_some(values: Floats) -> float:
    """Mean of the values that are defined; NaN where none is."""
    some = ~np.isnan(values)
    return float(values[some].mean()) if some.any() else float("nan")


def bootstrap(
    statistic: Callable[[Weights], Floats],
    items: int,
    *,
    seed: int,
    draws: int = DRAWS,
    drawn: Callable[[], object] = lambda: None,
) -> list[Difference]:
    """Differences and their intervals over the same draws of items, all of them at once.

    Args:
        statistic: F differences, float64 [F], of weights [items]: how often each item counts.
        items: Their number.
        seed: Of the draws.
        draws: Their number.
        drawn: Called after each draw, from any thread.

    Returns:
        F differences: of weights of 1, with their intervals.
    """

    def draw(index: int) -> Floats:
        # A generator a draw: the same numbers however the draws are shared among threads. A draw
        # without any positive is as good as impossible, and repeats.
        generator = np.random.default_rng((seed, index))
        while True:
            chosen = generator.integers(items, size=items)
            values = statistic(np.bincount(chosen, minlength=items))
            if not np.isnan(values).any():
                drawn()
                return values

    values = statistic(np.ones(items, dtype=np.int64))
    low, high = np.quantile(np.stack(in_threads(draw, range(draws))), INTERVAL, axis=0)
    return [
        Difference(*(float(number) for number in one))
        for one in zip(values, low, high, strict=True)
    ]
