"""Figures of the order of labels within a photo, and calibration.

N photos, C classes; scores float [N, C], labels uint8 [N, C].
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import check_labels, check_scores, check_unit_interval

CALIBRATION_BINS = 15
# 80 x 80 comparisons per photo: some megabytes at once.
_PHOTOS_AT_ONCE = 512


def label_ranking_figures(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> dict[str, float]:
    """LRAP, coverage error and ranking loss, as scikit-learn defines them.

    From Tsoumakas, Katakis and Vlahavas, Mining Multi-label Data, 2010, section 5.2. Scikit-learn
    loops over the photos: 1,000 of 80 classes take it 10 to 12 times as long
    (`benchmarks/scikit_learn.py`).

    ``lrap``: mean over photos and their labels of the share of right ones among the labels scored
    at least as high (1 for a photo without a label). ``coverage_error``: how many of the best
    labels must be taken to have all the right ones, mean over photos (0 without a label).
    ``ranking_loss``: share of the pairs (right, wrong) in the wrong order or tied.

    Raises:
        DataError: NaN, labels other than 0 and 1, or shapes that differ.
    """
    labels = check_labels("labels", labels)
    scores = check_scores("scores", scores, "labels", labels)
    right = labels.astype(bool)
    rank, right_rank = _ranks(scores, right)
    per_photo = right.sum(axis=1)
    pairs = per_photo * (right.shape[1] - per_photo)
    # A photo without a label, or with all of them, has nothing to order.
    precision = np.where(right, right_rank / rank, 0).sum(axis=1)
    misordered = np.where(right, rank - right_rank, 0).sum(axis=1)
    return {
        "lrap": float(np.where(per_photo > 0, precision / np.maximum(per_photo, 1), 1).mean()),
        "coverage_error": float(np.where(right, rank, 0).max(axis=1).mean()),
        "ranking_loss": float((misordered / np.maximum(pairs, 1)).mean()),
    }


def _ranks(
    scores: npt.NDArray[Any], right: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count the labels of the photo scored at least as high as each: all, and the right ones.

    int64 [N, C] each. The three figures follow from these two counts, for all photos at once.
    """
    rank, right_rank = np.empty((2, *scores.shape), dtype=np.int64)
    for start in range(0, len(scores), _PHOTOS_AT_ONCE):
        rows = slice(start, start + _PHOTOS_AT_ONCE)
        at_least = scores[rows, None, :] >= scores[rows, :, None]
        rank[rows] = np.count_nonzero(at_least, axis=2)
        right_rank[rows] = np.count_nonzero(at_least & right[rows, None, :], axis=2)
    return rank, right_rank


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
    ranked, expected = decisions_by_score(scores, labels)
    gaps = [part.sum() for part in np.array_split(ranked - expected, bins)]
    return float(np.abs(gaps).sum() / len(ranked))


def decisions_by_score(
    scores: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """All N * C decisions, lowest score first, with how often decisions of that score are right.

    Returns:
        Scores [N * C], ascending; and for each the share of positives among all decisions with
        exactly that score, float64 [N * C].

    Raises:
        DataError: See :func:`expected_calibration_error`.
    """
    labels = check_labels("labels", labels)
    scores = check_scores("scores", scores, "labels", labels)
    check_unit_interval("scores", scores)
    flat = scores.ravel()
    order = np.argsort(flat)
    ranked, hits = flat[order], labels.ravel()[order].astype(np.float64)
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    sizes = np.diff(np.append(starts, len(ranked)))
    return ranked, np.repeat(np.add.reduceat(hits, starts) / sizes, sizes)
