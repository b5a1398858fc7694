"""Figures of decisions: which labels a photo gets, by a threshold or by rank.

For class c: hits_c right decisions, decided_c positive decisions, positives_c labels.

- CP = mean over classes of hits_c / decided_c, CR = mean of hits_c / positives_c;
  OP = sum hits / sum decided, OR = sum hits / sum positives.
- CF1 = 2 CP CR / (CP + CR): the harmonic mean *of the averages*, as in the tables of ML-GCN (Chen
  et al., CVPR 2019) and Query2Label; OF1 likewise from OP and OR.
- top-3 decisions (Wei et al., HCP, TPAMI 2016; the tables of ML-GCN) and P@n, R@n go by rank.
- f1_macro = mean over classes of 2 hits_c / (decided_c + positives_c), which is scikit-learn's;
  f1_micro = the same of the sums, and equal to OF1.

Where scikit-learn has a figure, the value is the same. Its counts neither share ties in a rank nor
come for many weights at once, and 1,000 photos of 80 classes take it 15 to 19 times as long
(`benchmarks/scikit_learn.py`).

Means over classes leave out the classes without a positive, for which recall is undefined, so that
they cover the same classes as mAP. A class that is never decided has precision 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Floats, check_labels, check_scores, ratio
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import threshold_counts
from siglip2_multimodal_hash.params import check_tag_count


@dataclass(frozen=True, eq=False)
class Decisions:
    """Counts of each class; float64 [C], because ties in a rank are shared (see :func:`top_n`).

    Attributes:
        hits: Right decisions.
        decided: Positive decisions.
        positives: Labels.
    """

    hits: Floats
    decided: Floats
    positives: Floats

    def figures(self) -> dict[str, float]:
        """CP, CR, CF1, OP, OR, OF1, f1_macro and f1_micro, each 0 to 1.

        Raises:
            DataError: No class has a positive.
        """
        some = self.positives > 0
        if not some.any():
            raise DataError("labels: no class has a positive, so recall is undefined")
        hits, decided, positives = self.hits[some], self.decided[some], self.positives[some]
        precision = ratio(hits, decided)
        class_precision, class_recall = precision.mean(), (hits / positives).mean()
        precision_all = float(ratio(self.hits.sum(), self.decided.sum()))
        recall_all = float(self.hits.sum() / self.positives.sum())
        return {
            "CP": float(class_precision),
            "CR": float(class_recall),
            "CF1": _harmonic_mean(float(class_precision), float(class_recall)),
            "OP": precision_all,
            "OR": recall_all,
            "OF1": _harmonic_mean(precision_all, recall_all),
            "f1_macro": float((2 * hits / (decided + positives)).mean()),
            "f1_micro": float(2 * self.hits.sum() / (self.decided.sum() + self.positives.sum())),
        }


def at_threshold(scores: npt.NDArray[Any], labels: npt.NDArray[Any], threshold: float) -> Decisions:
    """Decide a label where its score is at least ``threshold``.

    Args:
        scores: float [N, C].
        labels: uint8 [N, C].
        threshold: One for all classes.

    Raises:
        DataError: NaN, labels other than 0 and 1, or shapes that differ.
    """
    labels = check_labels("labels", labels)
    decided = check_scores("scores", scores, "labels", labels) >= threshold
    return _count(decided.astype(np.float64), labels)


def subset_figures(
    scores: npt.NDArray[Any], labels: npt.NDArray[Any], threshold: float
) -> dict[str, float]:
    """Hamming loss and subset accuracy of the decisions at a threshold.

    ``hamming_loss``: share of the N * C decisions that are wrong. ``subset_accuracy``: share of
    the photos with all C decisions right. Both as in scikit-learn.

    Raises:
        DataError: See :func:`at_threshold`.
    """
    labels = check_labels("labels", labels)
    wrong = (check_scores("scores", scores, "labels", labels) >= threshold) != labels.astype(bool)
    return {
        "hamming_loss": float(wrong.mean()),
        "subset_accuracy": float((~wrong.any(axis=1)).mean()),
    }


def top_n(scores: npt.NDArray[Any], labels: npt.NDArray[Any], n: int) -> Decisions:
    """Decide the ``n`` best-scored labels of each photo, whatever their scores.

    Labels that tie for the last places share them evenly (two that tie for one place count half
    each), so the order of the classes changes nothing.

    Raises:
        InputError: ``n`` is less than 1 or more than C.
        DataError: See :func:`at_threshold`.
    """
    labels = check_labels("labels", labels)
    return _count(_shared_places(scores, labels, n), labels)


def precision_recall_at(
    scores: npt.NDArray[Any], labels: npt.NDArray[Any], n: int
) -> dict[str, float]:
    """P@n and R@n of the tags of a photo.

    P@n = mean over photos of (right ones among the n best) / n; R@n = mean over the photos with a
    label of (right ones among the n best) / labels. With ties as in :func:`top_n` both are the
    expectation over random orders of equal scores.

    Raises:
        InputError: ``n`` is less than 1 or more than C.
        DataError: No photo has a label, or see :func:`at_threshold`.
    """
    labels = check_labels("labels", labels)
    hits = (_shared_places(scores, labels, n) * labels).sum(axis=1)
    positives = labels.sum(axis=1, dtype=np.int64)
    labelled = positives > 0
    if not labelled.any():
        raise DataError("labels: no photo has a label, so recall is undefined")
    return {
        f"P@{n}": float(hits.mean() / n),
        f"R@{n}": float((hits[labelled] / positives[labelled]).mean()),
    }


def tune_threshold(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """Find the global threshold with the best f1_micro; on val, never on test.

    Exact: every distinct score is tried. Among equally good ones the highest is taken.

    Raises:
        DataError: No positive, or see :func:`at_threshold`.
    """
    thresholds, decided, hits = threshold_counts(scores, labels)
    positives = np.count_nonzero(labels)
    return float(thresholds[np.argmax(2 * hits / (decided + positives))])


def _shared_places(scores: npt.NDArray[Any], labels: npt.NDArray[np.uint8], n: int) -> Floats:
    """Share n places among the labels of each photo, float64 [N, C]; rows sum to n."""
    scores = check_scores("scores", scores, "labels", labels)
    classes = scores.shape[1]
    check_tag_count(n, classes)
    last = np.partition(scores, classes - n, axis=1)[:, classes - n, None]
    above, tied = scores > last, scores == last
    share = (n - above.sum(axis=1, keepdims=True)) / tied.sum(axis=1, keepdims=True)
    places: Floats = above + tied * share
    return places


def _count(decided: Floats, labels: npt.NDArray[np.uint8]) -> Decisions:
    return Decisions(
        hits=(decided * labels).sum(axis=0),
        decided=decided.sum(axis=0),
        positives=labels.sum(axis=0, dtype=np.float64),
    )


def _harmonic_mean(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
