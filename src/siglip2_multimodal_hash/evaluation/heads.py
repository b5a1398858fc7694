"""All figures of one trained head: the three predictors, retrieval by its codes, their quality."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.evaluation.code_quality import code_quality
from siglip2_multimodal_hash.evaluation.protocol import (
    Figures,
    evaluate_predictions,
    evaluate_retrieval,
)
from siglip2_multimodal_hash.evaluation.ranking import RadiusCurve
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.retrieval.index import CodeIndex
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours
from siglip2_multimodal_hash.retrieval.search import find_neighbours
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.retrieval.voting import combine_scores, vote_scores

QUERY_SPLITS = ("val", "test")
SIGMOID_THRESHOLD = 0.5

Labels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SplitRows:
    """Rows of the dataset's index: the database, and the queries of val and test."""

    train: Rows
    val: Rows
    test: Rows

    @classmethod
    def of(cls, dataset: DatasetIndex) -> Self:
        """The splits of a dataset."""
        return cls(dataset.rows("train"), dataset.rows("val"), dataset.rows("test"))

    def queries(self, split: str) -> Rows:
        """Rows of ``val`` or ``test``."""
        return {"val": self.val, "test": self.test}[split]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the predictors say about the queries of one split.

    Attributes:
        neighbours: Rows within the database (not within the dataset), and similarities; [Q, K].
        scores: ``knn`` and, where there is a classifier, ``mlp`` and ``hybrid``; float32 [Q, C].
    """

    neighbours: Neighbours
    scores: dict[str, Scores]


@dataclass(frozen=True, eq=False)
class HeadEvaluation:
    """Figures as nested dicts, predictions by split, retrieval curves by split."""

    figures: Figures
    predictions: dict[str, Predictions]
    curves: dict[str, RadiusCurve]


def evaluate_head(
    codes: HeadCodes, index: CodeIndex, labels: Labels, rows: SplitRows, knn: KnnParams
) -> HeadEvaluation:
    """Predict val and test from the neighbours in train, from the classifier, and from both.

    Args:
        codes: Of all N images.
        index: Over the codes of ``rows.train``.
        labels: uint8 [N, C].
        rows: The splits.
        knn: How to search and vote.

    Returns:
        ``.figures`` has ``knn`` and, where there is a classifier, ``mlp`` and ``hybrid`` (see
        :func:`.protocol.evaluate_predictions`), ``retrieval`` by split, and, where there are
        bits, ``codes`` of the database.
    """
    predictions = {
        split: predict(codes, index, labels, rows.train, rows.queries(split), knn)
        for split in QUERY_SPLITS
    }
    figures: Figures = {
        name: evaluate_predictions(
            predictions["val"].scores[name],
            labels[rows.val],
            predictions["test"].scores[name],
            labels[rows.test],
            top_n_tags=knn.top_n_tags,
            fixed_threshold=SIGMOID_THRESHOLD if name == "mlp" else None,
        )
        for name in predictions["val"].scores
    }
    searchable = codes.searchable()
    retrievals = {
        split: evaluate_retrieval(
            searchable[rows.queries(split)],
            searchable[rows.train],
            labels[rows.queries(split)],
            labels[rows.train],
        )
        for split in QUERY_SPLITS
    }
    figures["retrieval"] = {split: result.figures() for split, result in retrievals.items()}
    if codes.packed is not None:
        figures["codes"] = code_quality(codes.packed[rows.train], codes.soft[rows.train])
    return HeadEvaluation(
        figures, predictions, {split: result.curve for split, result in retrievals.items()}
    )


def predict(
    codes: HeadCodes,
    index: CodeIndex,
    labels: Labels,
    database: Rows,
    queries: Rows,
    knn: KnnParams,
) -> Predictions:
    """Scores of the predictors for Q queries; see :func:`evaluate_head`."""
    neighbours = find_neighbours(
        index,
        codes.rows(queries),
        codes.rows(database),
        distance=knn.distance,
        K=knn.K,
        shortlist=knn.shortlist,
    )
    voted = vote_scores(
        neighbours, labels[database], knn.vote, tau=knn.tau, threshold=knn.threshold
    )
    scores = {"knn": voted}
    if codes.scores is not None:
        scores["mlp"] = codes.scores[queries]
        scores["hybrid"] = combine_scores(voted, scores["mlp"], knn.hybrid_weight)
    return Predictions(neighbours, scores)
