"""Chance level: scores of a predictor without any knowledge, the floor of every figure."""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import check_labels
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.histograms import relevant_totals


def chance_mean_average_precision(labels: npt.NDArray[Any]) -> float:
    """Return the mAP of equal scores for all: the mean prevalence of classes with a positive.

    A random order has a slightly higher expectation, by some log(N) / N per class.

    Args:
        labels: uint8 [N, C].

    Raises:
        DataError: No class has a positive, or labels other than 0 and 1.
    """
    prevalence = check_labels("labels", labels).mean(axis=0) if len(labels) else np.zeros(1)
    if not prevalence.any():
        raise DataError("labels: no class has a positive, so mAP is undefined")
    return float(prevalence[prevalence > 0].mean())


def chance_retrieval(query_labels: npt.NDArray[Any], database_labels: npt.NDArray[Any]) -> float:
    """Precision of a random order: the mean share of the database that is relevant to a query.

    Queries without any relevant item are left out, as everywhere in retrieval.

    Args:
        query_labels: uint8 [Q, C].
        database_labels: uint8 [N, C].

    Raises:
        DataError: No query has a relevant item, or labels that do not fit each other.
    """
    totals = relevant_totals(query_labels, database_labels)
    if not totals.any():
        raise DataError("no query shares a label with any item of the database")
    return float(totals[totals > 0].mean() / len(database_labels))
