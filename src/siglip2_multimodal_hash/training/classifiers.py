"""Fit the classifiers that have no code: the plain MLP and the linear probe."""

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.params import CaptionPolicy
from siglip2_multimodal_hash.training.baselines import BaselineTask, fit_baselines
from siglip2_multimodal_hash.training.logistic import fit_logistic_regression

Scores = npt.NDArray[np.float32]


def fit_classifiers(task: BaselineTask) -> dict[str, Scores]:
    """Scores of every image, float32 [N, C] by name: the heads of ``task`` and the linear probe.

    Raises:
        InputError: See :func:`.baselines.fit_baselines`.
        DataError: The embeddings are not those of the index.
    """
    scores = {codes.name: codes.scores for codes in fit_baselines(task)}
    return {**scores, "logistic_regression": _probe(task)}


def joined_embeddings(vectors: Embeddings, policy: CaptionPolicy) -> npt.NDArray[np.float32]:
    """[v_img, v_txt] of every image with the caption of evaluation, float32 [N, D_i + D_t]."""
    return np.concatenate([vectors.image, vectors.captions_by_policy(policy)], axis=1)


def _probe(task: BaselineTask) -> Scores:
    dataset, vectors = read_index(task.index), load_embeddings(task.embeddings)
    joined, labels = joined_embeddings(vectors, task.policy), dataset.labels()
    train, val = dataset.rows("train"), dataset.rows("val")
    device = choose_device(task.settings.runtime.device)
    return fit_logistic_regression(
        joined[train], labels[train], joined[val], labels[val], device=device
    ).scores(joined)
