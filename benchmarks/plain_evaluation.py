"""Evaluation as others have it: the loop of published hashing code, scikit-learn, faissknn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.hashnet_codes import CodeSet, Labels

Floats = npt.NDArray[np.float32]
Order = Callable[[Floats, Floats], npt.NDArray[np.intp]]


def as_found(distances: Floats, relevant: Floats) -> npt.NDArray[np.intp]:
    """The order that the loops take: whatever argsort makes of ties."""
    return np.argsort(distances)


def relevant_first(distances: Floats, relevant: Floats) -> npt.NDArray[np.intp]:
    """The luckiest order of ties: distances are whole numbers."""
    return np.argsort(distances - relevant / 2)


def relevant_last(distances: Floats, relevant: Floats) -> npt.NDArray[np.intp]:
    """The unluckiest order of ties."""
    return np.argsort(distances + relevant / 2)


def argsort_map(codes: CodeSet, cutoff: int | None = None, order: Order = as_found) -> float:
    """mAP@R query by query: a dot product for the distances, one for the labels, an argsort.

    The steps of ``CalcTopMap``, which repositories of deep hashing hand on since HashNet: codes of
    -1 and +1 and labels as floats, AP over the relevant items among the first R, 0 for none.

    Args:
        codes: Q queries, N items.
        cutoff: R; None for all.
        order: Order of ties.
    """
    queries, database = (
        np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1
        for packed in (codes.query_codes, codes.database_codes)
    )
    query_labels, labels = (
        matrix.astype(np.float32) for matrix in (codes.query_labels, codes.database_labels)
    )
    total = 0.0
    for query, own_labels in zip(queries, query_labels, strict=True):
        relevant = (own_labels @ labels.T > 0).astype(np.float32)
        distances = (queries.shape[1] - query @ database.T) / 2
        ranked = relevant[order(distances, relevant)][:cutoff]
        places = np.flatnonzero(ranked) + 1.0
        if len(places):
            total += float(np.mean(np.arange(1, len(places) + 1) / places))
    return total / len(queries)


def scikit_learn_figures(
    scores: npt.NDArray[Any], labels: Labels, threshold: float
) -> dict[str, float]:
    """The classification figures that scikit-learn defines, under the names of the project.

    Args:
        scores: In [0, 1], float [n, C].
        labels: uint8 [n, C].
        threshold: Of the decisions.
    """
    from sklearn import metrics

    some = np.flatnonzero(labels.any(axis=0))
    decided = (scores >= threshold).astype(np.uint8)
    by_class = metrics.precision_recall_fscore_support(
        labels, decided, labels=some, average=None, zero_division=0
    )
    overall = metrics.precision_recall_fscore_support(
        labels, decided, average="micro", zero_division=0
    )
    return {
        "mAP": float(metrics.average_precision_score(labels[:, some], scores[:, some])),
        "mAP_micro": float(metrics.average_precision_score(labels, scores, average="micro")),
        "lrap": float(metrics.label_ranking_average_precision_score(labels, scores)),
        "coverage_error": float(metrics.coverage_error(labels, scores)),
        "ranking_loss": float(metrics.label_ranking_loss(labels, scores)),
        "CP": float(by_class[0].mean()),
        "CR": float(by_class[1].mean()),
        "f1_macro": float(by_class[2].mean()),
        "OP": float(overall[0]),
        "OR": float(overall[1]),
        "f1_micro": float(overall[2]),
        "hamming_loss": float(metrics.hamming_loss(labels, decided)),
        "subset_accuracy": float(metrics.accuracy_score(labels, decided)),
    }


def best_threshold(scores: npt.NDArray[Any], labels: Labels) -> float:
    """The score with the best micro F1, from scikit-learn's precision-recall curve."""
    from sklearn import metrics

    precision, recall, thresholds = metrics.precision_recall_curve(labels.ravel(), scores.ravel())
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    # Among equally good ones the highest, but for the rounding of the two quotients.
    best = np.flatnonzero(f1[:-1] >= f1[:-1].max() - 1e-12)[-1]
    return float(thresholds[best])


def faissknn_scores(codes: CodeSet, K: int) -> npt.NDArray[np.float64]:
    """Shares of the vote by faissknn: Euclidean search over codes of -1 and +1, equal weights.

    Its squared distance is four times Hamming's, so its neighbours are the same but for ties.

    Raises:
        ImportError: The package is not installed.
    """
    from faissknn import FaissKNNMultilabelClassifier

    queries, database = (
        np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1
        for packed in (codes.query_codes, codes.database_codes)
    )
    classifier = FaissKNNMultilabelClassifier(K, n_classes=codes.database_labels.shape[1])
    shares: npt.NDArray[np.float64] = classifier.fit(database, codes.database_labels).predict_proba(
        queries
    )
    return shares
