"""Figures of the order of labels within a photo, and calibration.

N photos, C classes; scores float [N, C], labels uint8 [N, C].
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    coverage_error,
    label_ranking_average_precision_score,
    label_ranking_loss,
)

from siglip2_multimodal_hash.retrieval.checks import (
    check_labels,
    check_scores,
    check_unit_interval,
)

CALIBRATION_BINS = 15


def label_ranking_figures(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> dict[str, float]:
    """LRAP, coverage error and ranking loss, as scikit-learn defines them.

    ``lrap``: mean over photos and their labels of the share of right ones among the labels scored
    at least as high (1 for a photo without a label). ``coverage_error``: how many of the best
    labels must be taken to have all the right ones, mean over photos (0 without a label).
    ``ranking_loss``: share of the pairs (right, wrong) in the wrong order or tied.

    Raises:
        DataError: NaN, labels other than 0 and 1, or shapes that differ.
    """
    labels = check_labels("labels", labels)
    scores = check_scores("scores", scores, "labels", labels)
    return {
        "lrap": float(label_ranking_average_precision_score(labels, scores)),
        "coverage_error": float(coverage_error(labels, scores)),
        "ranking_loss": float(label_ranking_loss(labels, scores)),
    }


def expected_calibration_error(
    scores: npt.NDArray[Any], labels: npt.NDArray[Any], bins: int = CALIBRATION_BINS
) -> float:
    """ECE over all N * C decisions in bins of equal mass (Nixon et al., CVPR workshops 2019).

    The decisions are sorted by score and cut in ``bins`` runs of equal size (to within one);
    ECE = sum over bins of |mean score - share of positives| * size / (N * C). A bin's edge may cut
    a group of equal scores; each part then gets the share of positives of the whole group, so the
    order of the rows changes nothing. KNN votes are mostly exact zeros, so this is the rule there.

    Raises:
        DataError: Scores outside [0, 1], NaN, labels other than 0 and 1, or shapes that differ.
    """
    labels = check_labels("labels", labels)
    scores = check_scores("scores", scores, "labels", labels)
    check_unit_interval("scores", scores)
    flat = scores.ravel()
    order = np.argsort(flat)
    ranked, hits = flat[order], labels.ravel()[order].astype(np.float64)
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    sizes = np.diff(np.append(starts, len(ranked)))
    expected = np.repeat(np.add.reduceat(hits, starts) / sizes, sizes)
    gaps = [part.sum() for part in np.array_split(ranked - expected, bins)]
    return float(np.abs(gaps).sum() / len(ranked))
