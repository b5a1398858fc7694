"""Calibration of scores as probabilities: the points of a reliability diagram."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Floats
from siglip2_multimodal_hash.evaluation.classification import CALIBRATION_BINS, decisions_by_score


class Reliability(NamedTuple):
    """B bins of decisions, the lowest scores first.

    Attributes:
        scores: Mean score of each bin, float64 [B].
        shares: Share of the decisions of each bin that are right, float64 [B].
        sizes: Decisions in each bin, int64 [B].
    """

    scores: Floats
    shares: Floats
    sizes: npt.NDArray[np.int64]


def reliability(
    scores: npt.NDArray[Any], labels: npt.NDArray[Any], bins: int = CALIBRATION_BINS
) -> Reliability:
    """The bins behind :func:`.classification.expected_calibration_error`.

    Its ECE is the mean of ``|scores - shares|``, weighted by ``sizes``. (Niculescu-Mizil and
    Caruana, ICML 2005, draw the diagram; the bins of equal mass are Nixon et al.'s, CVPR workshops
    2019.)

    Args:
        scores: In [0, 1], float [N, C].
        labels: uint8 [N, C].
        bins: The most bins; fewer where there are fewer decisions.

    Raises:
        DataError: Scores outside [0, 1], NaN, labels other than 0 and 1, or shapes that differ.
    """
    ranked, expected = decisions_by_score(scores, labels)
    parts = [
        (part.mean(dtype=np.float64), own.mean(), len(part))
        for part, own in zip(
            np.array_split(ranked, bins), np.array_split(expected, bins), strict=True
        )
        if len(part)
    ]
    means, shares, sizes = zip(*parts, strict=True)
    return Reliability(np.array(means), np.array(shares), np.array(sizes, dtype=np.int64))
