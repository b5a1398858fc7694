"""Classifiers without a code, which no parameter of the hash layer or the vote can change."""

import logging
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.evaluation.classifier_results import ClassifierResults
from siglip2_multimodal_hash.evaluation.heads import (
    QUERY_SPLITS,
    SIGMOID_THRESHOLD,
    Labels,
    Scores,
    SplitRows,
)
from siglip2_multimodal_hash.evaluation.modality import Modality, named
from siglip2_multimodal_hash.evaluation.protocol import evaluate_predictions
from siglip2_multimodal_hash.evaluation.zero_shot import zero_shot_scores

logger = logging.getLogger(__name__)


def evaluate_zero_shot(
    images: npt.NDArray[np.float32],
    prompts: npt.NDArray[np.float32],
    labels: Labels,
    rows: SplitRows,
    *,
    top_n_tags: int,
) -> ClassifierResults:
    """Zero-shot classification: cosine of image [N, D] and class prompt [C, D], no training.

    Imported features may have no class prompts, or no images to compare them with; the log then
    says that ``zero_shot`` is left out.
    """
    if not images.shape[1] or not prompts.shape[1]:
        lacking = "class prompts" if images.shape[1] else "images"
        logger.info("zero_shot: left out, because the features are without %s", lacking)
        return ClassifierResults()
    scores = {
        split: zero_shot_scores(images[rows.queries(split)], prompts) for split in QUERY_SPLITS
    }
    return _evaluate("zero_shot", scores, labels, rows, "image", top_n_tags)


def evaluate_classifiers(
    scores: Mapping[str, Scores],
    labels: Labels,
    rows: SplitRows,
    modality: Modality,
    *,
    top_n_tags: int,
) -> ClassifierResults:
    """Evaluate sigmoid scores, float32 [N, C] by classifier, of vectors of one modality."""
    results = ClassifierResults()
    for name, of_all in scores.items():
        of_splits = {split: of_all[rows.queries(split)] for split in QUERY_SPLITS}
        results |= _evaluate(name, of_splits, labels, rows, modality, top_n_tags, SIGMOID_THRESHOLD)
    return results


def _evaluate(
    name: str,
    scores: Mapping[str, Scores],
    labels: Labels,
    rows: SplitRows,
    modality: Modality,
    top_n_tags: int,
    fixed_threshold: float | None = None,
) -> ClassifierResults:
    """One classifier, by its scores of val and test."""
    figures = evaluate_predictions(
        scores["val"],
        labels[rows.val],
        scores["test"],
        labels[rows.test],
        top_n_tags=top_n_tags,
        fixed_threshold=fixed_threshold,
    )
    return ClassifierResults(named({name: figures}, modality), {name: scores["test"]})
