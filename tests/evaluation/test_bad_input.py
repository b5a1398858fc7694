"""Refusals of every figure, by name: NaN, unequal lengths, labels that are none, foreign codes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import (
    average_precisions,
    mean_average_precision,
    micro_average_precision,
    micro_curve,
    threshold_counts,
)
from siglip2_multimodal_hash.evaluation.classification import (
    expected_calibration_error,
    label_ranking_figures,
)
from siglip2_multimodal_hash.evaluation.decisions import (
    at_threshold,
    precision_recall_at,
    subset_figures,
    top_n,
    tune_threshold,
)
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_head
from siglip2_multimodal_hash.evaluation.ranking import evaluate_codes, evaluate_vectors
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.store import HeadCodes

Array = npt.NDArray[Any]
Figure = Callable[[Array, Array], Any]

FIGURES: dict[str, Figure] = {
    "average_precisions": average_precisions,
    "mean_average_precision": mean_average_precision,
    "micro_average_precision": micro_average_precision,
    "micro_curve": micro_curve,
    "threshold_counts": threshold_counts,
    "label_ranking_figures": label_ranking_figures,
    "expected_calibration_error": expected_calibration_error,
    "at_threshold": lambda scores, labels: at_threshold(scores, labels, 0.5),
    "subset_figures": lambda scores, labels: subset_figures(scores, labels, 0.5),
    "top_n": lambda scores, labels: top_n(scores, labels, 1),
    "precision_recall_at": lambda scores, labels: precision_recall_at(scores, labels, 1),
    "tune_threshold": tune_threshold,
}
SCORES = np.array([[0.9, 0.1], [0.2, 0.7], [0.4, 0.3]], dtype=np.float32)
LABELS = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.uint8)


def with_value(array: Array, value: float) -> Array:
    changed = array.astype(np.float64)
    changed[1, 0] = value
    return changed


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (with_value(SCORES, np.nan), LABELS, "scores holds NaN or infinity"),
        (with_value(SCORES, np.inf), LABELS, "scores holds NaN or infinity"),
        (SCORES[:2], LABELS, "shape"),
        (SCORES, LABELS[:2], "shape"),
        (SCORES, LABELS[:, :1], "shape"),
        (SCORES, with_value(LABELS, 2), r"labels holds 2.*: labels are 0 or 1"),
        (SCORES, with_value(LABELS, -1), r"labels holds -1.*: labels are 0 or 1"),
        (SCORES, with_value(LABELS, np.nan), "labels holds nan: labels are 0 or 1"),
        (SCORES, with_value(LABELS, 0.5), r"labels holds 0\.5: labels are 0 or 1"),
        (SCORES > 0.5, LABELS, "scores: bool of shape"),
        (SCORES[:0], LABELS[:0], "is empty"),
    ],
)
def test_every_figure_of_classification_refuses(
    name: str, scores: Array, labels: Array, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        FIGURES[name](scores, labels)


VECTORS = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
PAIRS = np.ones((6, 2), dtype=np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((with_value(VECTORS, np.nan), VECTORS, PAIRS, PAIRS), "vectors holds NaN"),
        ((VECTORS, with_value(VECTORS, np.inf), PAIRS, PAIRS), "vectors holds NaN or infinity"),
        ((VECTORS, VECTORS[:5], PAIRS, PAIRS), "rows of the database vectors: 5, of the database"),
        ((VECTORS[:5], VECTORS, PAIRS, PAIRS), "rows of the query vectors: 5, of the query labels"),
        ((VECTORS, VECTORS, PAIRS, PAIRS[:, :1]), "classes of the query labels: 2, of the databas"),
        ((VECTORS, VECTORS, with_value(PAIRS, 3), PAIRS), r"query labels holds 3.*: labels are 0"),
        ((VECTORS, VECTORS, PAIRS, with_value(PAIRS, np.nan)), "database labels holds nan"),
        ((VECTORS > 0, VECTORS, PAIRS, PAIRS), "vectors: bool of shape"),
    ],
)
def test_retrieval_by_vectors_refuses(arguments: tuple[Array, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_vectors(*arguments)


CODES = np.random.default_rng(1).integers(0, 256, (6, 2), dtype=np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((CODES[:, :1], CODES, PAIRS, PAIRS), "bits of the query codes: 8, of the database codes"),
        ((CODES, CODES[:4], PAIRS, PAIRS), "rows of the database codes: 4, of the database label"),
        ((CODES, CODES, with_value(PAIRS, np.nan), PAIRS), "query labels holds nan"),
        ((CODES, CODES, PAIRS, with_value(PAIRS, 2)), "database labels holds 2"),
        ((CODES, VECTORS, PAIRS, PAIRS), "database codes: float32 of shape"),
        ((CODES[:, :0], CODES[:, :0], PAIRS, PAIRS), "query codes: uint8 of shape"),
    ],
)
def test_retrieval_by_codes_refuses(arguments: tuple[Array, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_codes(*arguments)


ROWS = SplitRows(
    train=np.arange(8), val=np.arange(8, 12), test=np.arange(12, 16), database=np.arange(8)
)
KNN = {
    **{"K": 2, "distance": "hamming", "vote": "uniform", "tau": 0.1, "threshold": 0.5},
    **{"shortlist": 4, "hybrid_weight": 0.5, "top_n_tags": 1},
}


@pytest.mark.parametrize("bits", [16, 0])
def test_an_index_of_another_models_codes_is_refused(bits: int) -> None:
    """Of the same size and width: only the fingerprint tells them apart."""

    def model(seed: int) -> HeadCodes:
        generator = np.random.default_rng(seed)
        soft = generator.standard_normal((16, 16)).astype(np.float32)
        scores = generator.random((16, 2), dtype=np.float32)
        if not bits:
            return HeadCodes(unit_vectors(soft), None, scores)
        return HeadCodes(soft, np.packbits(soft > 0, axis=1), scores)

    labels = np.random.default_rng(2).integers(0, 2, (16, 2), dtype=np.uint8)
    labels[::4] = 1
    knn = KnnParams.model_validate(KNN | ({} if bits else {"distance": "cosine"}))
    ours, theirs = model(0), model(1)
    evaluate_head(ours, build_index(ours.searchable()[ROWS.database]), labels, ROWS, knn)
    foreign = build_index(theirs.searchable()[ROWS.database])
    with pytest.raises(DataError, match="the index was built from other codes"):
        evaluate_head(ours, foreign, labels, ROWS, knn)
    # The same codes in another order are others too: rows would name other images.
    turned = build_index(ours.searchable()[ROWS.database[::-1]])
    with pytest.raises(DataError, match="the index was built from other codes"):
        evaluate_head(ours, turned, labels, ROWS, knn)
