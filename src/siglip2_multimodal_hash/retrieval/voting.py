"""Scores of the classes from the labels of the neighbours: a weighted vote."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from siglip2_multimodal_hash.arrays import check_labels, check_size, check_unit_interval
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.params import Vote
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW, Neighbours

Weights = npt.NDArray[np.float64]


def vote_weights(
    similarities: npt.NDArray[np.float32],
    vote: Vote,
    *,
    tau: float,
    threshold: float,
    found: npt.NDArray[np.bool_] | None = None,
) -> Weights:
    """Weigh each neighbour's vote; a query's weights sum to 1, or to 0 without a neighbour.

    - ``uniform``: 1 / K.
    - ``softmax``: exp(similarity / tau), normalised.
    - ``rank``: 1 / rank, normalised; the nearest has rank 1. (Chiang, Lo and Lin, ACML 2012, learn
      the order and the weights of the ranks; here both are fixed.)
    - ``threshold``: equal weights for the neighbours with a similarity of at least ``threshold``.
      Where none has, all vote equally: a query that is far from everything still gets the
      ranking of ``uniform``, where one neighbour alone would be sure of itself without reason.

    Args:
        similarities: In [0, 1], nearest first, float32 [Q, K].
        vote: ``knn.vote``.
        tau: ``knn.tau``, more than 0.
        threshold: ``knn.threshold``.
        found: Mask of existing neighbours, bool [Q, K], the others last: they weigh nothing. All
            where it is None.

    Returns:
        float64 [Q, K].

    Raises:
        InputError: The vote is unknown, or ``tau`` is not positive.
        DataError: Similarities outside [0, 1].
    """
    if similarities.ndim != 2 or not similarities.shape[1]:
        raise DataError(f"similarities: shape {similarities.shape}, expected [Q, K]")
    if not len(similarities):
        return np.empty(similarities.shape, dtype=np.float64)
    check_unit_interval("similarities", similarities)
    exact = similarities.astype(np.float64)
    weights: Weights
    if vote == "uniform":
        weights = np.ones_like(exact)
    elif vote == "softmax":
        if not tau > 0:
            raise InputError(f"knn.tau = {tau}: must be more than 0")
        # Less the largest, so that exp cannot overflow however small tau is.
        weights = np.exp((exact - exact.max(axis=1, keepdims=True)) / tau)
    elif vote == "rank":
        weights = np.broadcast_to(1.0 / np.arange(1, exact.shape[1] + 1), exact.shape)
    elif vote == "threshold":
        near = exact >= threshold
        if found is not None:
            near &= found
        weights = np.where(near.any(axis=1, keepdims=True), near, True).astype(np.float64)
    else:
        raise InputError(
            f"knn.vote = {vote!r}: unknown", "one of uniform, softmax, rank, threshold"
        )
    if found is not None:
        weights = np.where(found, weights, 0)
    totals: Weights = weights.sum(axis=1, keepdims=True)
    totals[totals == 0] = 1
    return weights / totals


def weights_of(neighbours: Neighbours, vote: Vote, *, tau: float, threshold: float) -> Weights:
    """:func:`vote_weights` of neighbours, of which those that were not found weigh nothing."""
    rows, similarities = neighbours
    return vote_weights(similarities, vote, tau=tau, threshold=threshold, found=rows != NO_ROW)


def sparse_labels(database_labels: npt.NDArray[Any]) -> csr_array:
    """Labels as the votes multiply them; for many votes of one database, made once.

    Args:
        database_labels: uint8 [N, C].

    Returns:
        float64 [N, C].

    Raises:
        DataError: Labels other than 0 and 1.
    """
    return csr_array(check_labels("database labels", database_labels).astype(np.float64))


def vote_scores(
    neighbours: Neighbours,
    database_labels: npt.NDArray[Any] | csr_array,
    vote: Vote,
    *,
    tau: float,
    threshold: float,
) -> npt.NDArray[np.float32]:
    """Score each class by the share of the vote that its neighbours hold.

    score[q, c] = sum over k of weight[q, k] * labels[rows[q, k], c]. A neighbour that was not found
    has no vote: the others share it, and without any all scores are 0.

    Args:
        neighbours: Of Q queries; see :mod:`.search`.
        database_labels: uint8 [N, C], or what :func:`sparse_labels` made of them.
        vote: ``knn.vote``; see :func:`vote_weights`.
        tau: ``knn.tau``.
        threshold: ``knn.threshold``.

    Returns:
        float32 [Q, C] in [0, 1].

    Raises:
        InputError: See :func:`vote_weights`.
        DataError: Labels other than 0 and 1, or a neighbour beyond the last row of the labels.
    """
    sparse = isinstance(database_labels, csr_array)
    labels = database_labels if sparse else sparse_labels(database_labels)
    count = labels.shape[0]
    rows, similarities = neighbours
    check_size("shape of the similarities", similarities.shape, "of the rows", rows.shape)
    if rows.size and not (rows.min() >= NO_ROW and rows.max() < count):
        raise DataError(
            f"neighbours: rows {rows.min()} to {rows.max()}, the database has {count} labels",
            "the labels must be the index's: run `dvc repro`",
        )
    weights = weights_of(neighbours, vote, tau=tau, threshold=threshold)
    there = rows != NO_ROW
    ends = np.cumsum(there.sum(axis=1))
    # A sparse product adds the voters of a query one after another, in their order: classes with
    # the same voters get the same score to the last bit, which a dense one does not promise, and
    # ties decide average precision.
    ballots = csr_array(
        (weights[there], rows[there], np.concatenate([[0], ends])), shape=(len(rows), count)
    )
    scores = (ballots @ labels).toarray()
    return np.asarray(scores.clip(0, 1), dtype=np.float32)


def combine_scores(
    knn: npt.NDArray[np.float32], mlp: npt.NDArray[np.float32], weight: float
) -> npt.NDArray[np.float32]:
    """Mix the scores of the predictor ``hybrid``: weight * knn + (1 - weight) * mlp.

    Args:
        knn: Scores of the vote in [0, 1], float32 [Q, C].
        mlp: Scores of the classifier in [0, 1], float32 [Q, C].
        weight: ``knn.hybrid_weight``, 0 to 1.

    Returns:
        float32 [Q, C] in [0, 1].

    Raises:
        InputError: ``weight`` outside 0 to 1.
        DataError: The shapes differ, or scores outside 0 to 1.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"knn.hybrid_weight = {weight}: must lie between 0 and 1")
    check_size("shape of the mlp scores", mlp.shape, "of the knn scores", knn.shape)
    for name, scores in (("knn scores", knn), ("mlp scores", mlp)):
        if scores.size:
            check_unit_interval(name, scores)
    mixed = weight * knn.astype(np.float64) + (1 - weight) * mlp.astype(np.float64)
    return mixed.astype(np.float32)
