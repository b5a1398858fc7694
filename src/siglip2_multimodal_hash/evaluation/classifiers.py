"""Classifiers without a code, which no parameter of the hash layer or the vote can change."""

import logging

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.evaluation.heads import SIGMOID_THRESHOLD, Labels, SplitRows
from siglip2_multimodal_hash.evaluation.modality import named
from siglip2_multimodal_hash.evaluation.protocol import Figures, evaluate_predictions
from siglip2_multimodal_hash.evaluation.zero_shot import zero_shot_scores

logger = logging.getLogger(__name__)


def evaluate_zero_shot(
    images: npt.NDArray[np.float32],
    prompts: npt.NDArray[np.float32],
    labels: Labels,
    rows: SplitRows,
    *,
    top_n_tags: int,
) -> Figures:
    """Zero-shot classification: cosine of image [N, D] and class prompt [C, D], no training."""
    scores = {
        split: zero_shot_scores(images[rows.queries(split)], prompts) for split in ("val", "test")
    }
    return evaluate_predictions(
        scores["val"],
        labels[rows.val],
        scores["test"],
        labels[rows.test],
        top_n_tags=top_n_tags,
    )


def zero_shot_row(
    images: npt.NDArray[np.float32],
    prompts: npt.NDArray[np.float32],
    labels: Labels,
    rows: SplitRows,
    *,
    top_n_tags: int,
) -> dict[str, Figures]:
    """:func:`evaluate_zero_shot` as ``zero_shot``, or nothing where the features do not allow it.

    Imported features may have no class prompts, or no images to compare them with; the log then
    says that the row is left out.
    """
    if not images.shape[1] or not prompts.shape[1]:
        lacking = "class prompts" if images.shape[1] else "images"
        logger.info("zero_shot: left out, because the features are without %s", lacking)
        return {}
    figures = evaluate_zero_shot(images, prompts, labels, rows, top_n_tags=top_n_tags)
    return named({"zero_shot": figures}, "image")


def evaluate_classifier(
    scores: npt.NDArray[np.float32], labels: Labels, rows: SplitRows, *, top_n_tags: int
) -> Figures:
    """Figures of a classifier's sigmoid scores, float32 [N, C]."""
    return evaluate_predictions(
        scores[rows.val],
        labels[rows.val],
        scores[rows.test],
        labels[rows.test],
        top_n_tags=top_n_tags,
        fixed_threshold=SIGMOID_THRESHOLD,
    )
