"""Figures of single runs under the same draws of test images, so that any two differ in pairs."""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import check_positives
from siglip2_multimodal_hash.evaluation.comparison import figures_of
from siglip2_multimodal_hash.evaluation.histograms import in_threads
from siglip2_multimodal_hash.evaluation.items import ItemResults
from siglip2_multimodal_hash.evaluation.significance import INTERVAL, Difference

# As the comparison of experiments names them, and as tables do.
FIGURES = {"knn mAP": "tags mAP", "knn CF1": "tags CF1", "retrieval mAP@all": "retrieval mAP"}
# Digits beyond these are noise of the summation.
_DECIMALS = 12

Drawn = npt.NDArray[np.float64]


def draw_figures(results: ItemResults, *, draws: int) -> Drawn:
    """The figures of one run, on the images as they are and under each draw of them.

    Draw number i takes as many images as there are, with replacement; it is the same for all runs
    of as many images.

    Args:
        results: Of each image; of the predictors, ``knn`` is read.
        draws: Their number.

    Returns:
        float64 [1 + draws, 3], columns as in :data:`FIGURES`; NaN where a draw has no positive.

    Raises:
        DataError: No image has a label.
    """
    images = len(results.items.labels)
    check_positives("labels of test", bool(results.items.labels.any()))
    named = figures_of(results)
    figures = [named[name] for name in FIGURES]

    def draw(index: int) -> list[float]:
        if index < 0:
            weights = np.ones(images, dtype=np.int64)
        else:
            chosen = np.random.default_rng((0, index)).integers(images, size=images)
            weights = np.bincount(chosen, minlength=images)
        return [figure(weights) for figure in figures]

    return np.array(in_threads(draw, range(-1, draws)), dtype=np.float64)


def interval(runs: npt.NDArray[Any]) -> tuple[float, float]:
    """The 95% interval of the mean of a figure over runs, over the draws of test images.

    Args:
        runs: float [runs, 1 + draws], of one column of :func:`draw_figures`.
    """
    low, high = np.nanquantile(runs.mean(axis=0)[1:], INTERVAL)
    return float(low), float(high)


def difference(variant: npt.NDArray[Any], reference: npt.NDArray[Any]) -> Difference:
    """Mean of a figure over the runs of a variant less that over those of the reference.

    Paired bootstrap over images, percentile interval of 95%: it says what other test images would
    change, not what other seeds would.

    Args:
        variant: float [runs, 1 + draws], of one column of :func:`draw_figures`.
        reference: Likewise.
    """
    gaps = np.round(variant.mean(axis=0) - reference.mean(axis=0), _DECIMALS) + 0.0
    low, high = np.nanquantile(gaps[1:], INTERVAL)
    return Difference(float(gaps[0]), float(low), float(high))
