"""All figures of one trained head: the three predictors, retrieval by its codes, their quality."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from siglip2_multimodal_hash.arrays import Floats, Labels, Rows, Scores
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.evaluation.code_quality import code_quality
from siglip2_multimodal_hash.evaluation.items import RETRIEVAL_FIGURE
from siglip2_multimodal_hash.evaluation.protocol import (
    Figures,
    evaluate_predictions,
    evaluate_retrieval,
)
from siglip2_multimodal_hash.evaluation.ranking import RadiusCurve
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.progress import track
from siglip2_multimodal_hash.retrieval.index import CodeIndex, build_index, check_built_from
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours
from siglip2_multimodal_hash.retrieval.search import find_neighbours
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.retrieval.voting import combine_scores, vote_scores

QUERY_SPLITS = ("val", "test")
SIGMOID_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class SplitRows:
    """Rows of the dataset's index.

    Attributes:
        train: The training split.
        val: The queries of val.
        test: The queries of test.
        database: Items that the queries of test search; it may hold those of val.
    """

    train: Rows
    val: Rows
    test: Rows
    database: Rows

    @classmethod
    def of(cls, dataset: DatasetIndex) -> Self:
        """The splits of a dataset."""
        return cls(
            dataset.rows("train"),
            dataset.rows("val"),
            dataset.rows("test"),
            dataset.rows("database"),
        )

    def queries(self, split: str) -> Rows:
        """Rows of ``val`` or ``test``."""
        return {"val": self.val, "test": self.test}[split]

    def database_of(self, split: str) -> Rows:
        """Rows that the queries of ``val`` or ``test`` are searched in: never a query itself."""
        return np.setdiff1d(self.database, self.queries(split), assume_unique=True)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Neighbours and scores for the queries of one split.

    Attributes:
        neighbours: Rows within :meth:`SplitRows.database_of` the split (not within the dataset),
            and similarities; [Q, K]. See :class:`.Neighbours` for those that were not found.
        scores: ``knn`` and, where there is a classifier, ``mlp`` and ``hybrid``; float32 [Q, C].
    """

    neighbours: Neighbours
    scores: dict[str, Scores]


@dataclass(frozen=True, eq=False)
class HeadEvaluation:
    """Figures, predictions and retrieval of one head.

    Attributes:
        figures: Nested dicts.
        predictions: By split.
        curves: Of retrieval, by split.
        query_precisions: By split the average precision of each query over the whole database,
            float64 [Q]; NaN for a query without a relevant item.
    """

    figures: Figures
    predictions: dict[str, Predictions]
    curves: dict[str, RadiusCurve]
    query_precisions: dict[str, Floats]


def evaluate_head(
    codes: HeadCodes, index: CodeIndex, labels: Labels, rows: SplitRows, knn: KnnParams
) -> HeadEvaluation:
    """Predict val and test from the neighbours in the database, from the classifier, and from both.

    Args:
        codes: Of all N images.
        index: Over the codes of ``rows.database``. Where val is searched in less than that, it is
            by an index of the same kind. The figures of retrieval rank everything, whatever the
            kind.
        labels: uint8 [N, C].
        rows: The splits.
        knn: Settings of the search and the vote.

    Returns:
        ``.figures`` has ``knn`` and, where there is a classifier, ``mlp`` and ``hybrid`` (see
        :func:`.protocol.evaluate_predictions`), ``retrieval`` by split, and, where there are
        bits, ``codes`` of the database.

    Raises:
        DataError: The index is of other codes, or arrays that do not fit each other.
    """
    searchable = codes.searchable()
    check_built_from(index, searchable[rows.database])
    databases = {split: rows.database_of(split) for split in QUERY_SPLITS}
    predictions = {
        split: predict(
            codes,
            index_of_split(index, codes, rows, split),
            labels,
            database,
            rows.queries(split),
            knn,
        )
        for split, database in track(databases.items(), "search and vote", "split")
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
        for name in track(predictions["val"].scores, "figures of the tags", "predictor")
    }
    retrievals = {
        split: evaluate_retrieval(
            searchable[rows.queries(split)],
            searchable[database],
            labels[rows.queries(split)],
            labels[database],
        )
        for split, database in track(databases.items(), "ranking of the database", "split")
    }
    figures["retrieval"] = {split: result.figures() for split, result in retrievals.items()}
    if codes.packed is not None:
        figures["codes"] = code_quality(codes.packed[rows.database], codes.soft[rows.database])
    return HeadEvaluation(
        figures,
        predictions,
        {split: result.curve for split, result in retrievals.items()},
        {split: result.of_every_query(RETRIEVAL_FIGURE) for split, result in retrievals.items()},
    )


def evaluate_by_search(
    codes: HeadCodes, labels: Labels, rows: SplitRows, knn: KnnParams
) -> Figures:
    """All figures of some codes, by the head's own vote, over an exhaustive index."""
    index = build_index(codes.searchable()[rows.database])
    return evaluate_head(codes, index, labels, rows, knn).figures


def index_of_split(index: CodeIndex, codes: HeadCodes, rows: SplitRows, split: str) -> CodeIndex:
    """The index over ``rows.database``, or one of its own where a split is searched in less."""
    database = rows.database_of(split)
    if len(database) == len(rows.database):
        return index
    return build_index(codes.searchable()[database], index.kind)


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
