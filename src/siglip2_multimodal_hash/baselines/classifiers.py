"""Classifiers without a code, which no parameter of the hash layer or the vote can change.

Zero-shot, which is not trained; the plain MLP and the linear probe, which see the embeddings.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Labels, Rows, Scores, Vectors, check_size
from siglip2_multimodal_hash.baselines.fitting import BaselineTask, fit_baselines
from siglip2_multimodal_hash.baselines.logistic import BLOCK_ROWS, fit_logistic_regression
from siglip2_multimodal_hash.baselines.store import ClassifierResults, Modality, named
from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.evaluation.heads import (
    QUERY_SPLITS,
    SIGMOID_THRESHOLD,
    SplitRows,
)
from siglip2_multimodal_hash.evaluation.protocol import evaluate_predictions
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.neighbours import blocks

logger = logging.getLogger(__name__)


def zero_shot_scores(images: npt.NDArray[Any], prompts: npt.NDArray[Any]) -> Scores:
    """(1 + cos(image, prompt)) / 2, float32 [N, C] in [0, 1].

    The mapping keeps the order, so mAP is that of the cosine. It is no probability: SigLIP cosines
    fill a narrow band, hence only the threshold tuned on val is meaningful.

    Args:
        images: Embeddings of images, float [N, D], of any length.
        prompts: Embeddings of the class prompts, float [C, D], of any length.

    Raises:
        DataError: NaN or infinity, or the towers' dimensions differ.
    """
    image_units, prompt_units = unit_vectors(images), unit_vectors(prompts)
    check_size(
        "dimensions of the image embeddings",
        image_units.shape[1],
        "of the prompt embeddings",
        prompt_units.shape[1],
    )
    cosines = image_units.astype(np.float64) @ prompt_units.T.astype(np.float64)
    return ((1 + cosines) / 2).clip(0, 1).astype(np.float32)


def fit_classifiers(task: BaselineTask) -> dict[str, Scores]:
    """Scores of every image, float32 [N, C] by name: the heads of ``task`` and the linear probe.

    Raises:
        InputError: See :func:`.fitting.fit_baselines`.
        DataError: The embeddings are not those of the index.
    """
    scores = {codes.name: codes.scores for codes in fit_baselines(task)}
    return {**scores, "logistic_regression": _probe(task)}


def _probe(task: BaselineTask) -> Scores:
    dataset, vectors = read_index(task.index), load_embeddings(task.embeddings)
    labels, train, val = dataset.labels(), dataset.rows("train"), dataset.rows("val")
    captions = vectors.captions_by_policy(task.policy)

    def joined(rows: Rows) -> Vectors:
        return np.concatenate([vectors.image[rows], captions[rows]], axis=1)

    device = choose_device(task.settings.runtime.device)
    probe = fit_logistic_regression(
        joined(train), labels[train], joined(val), labels[val], device=device
    )
    parts = blocks(np.arange(len(labels)), BLOCK_ROWS)
    return np.concatenate([probe.scores(joined(rows)) for rows in parts])


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
