"""From the numbers of the predictors to what a user is told."""

from typing import Any

import numpy as np

from siglip2_multimodal_hash.evaluation.heads import Predictions
from siglip2_multimodal_hash.params import PREDICTORS, KnnParams
from siglip2_multimodal_hash.prediction.answer import (
    SHARED_BY,
    UNLIKE,
    Neighbour,
    Prediction,
    Question,
    Tag,
)
from siglip2_multimodal_hash.prediction.database import Database
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW, Neighbours
from siglip2_multimodal_hash.retrieval.voting import weights_of


def vote_and_tell(database: Database, question: Question) -> list[Prediction]:
    """Search and vote, and say of every photo what came of it.

    Raises:
        InputError: ``knn.K`` is more than the database has.
    """
    knn = question.knn
    predictions = database.vote(question.soft, question.scores, knn)
    unlike = np.zeros(len(question.paths), dtype=np.bool_)
    if question.image is not None and len(question.paths):
        unlike = database.unlike_val(question.image)
    told = []
    for photo, path in enumerate(question.paths):
        tags, predicted = _tags(database, predictions, photo, question.top)
        rows, similarities = predictions.neighbours
        near = Neighbours(rows[photo, None], similarities[photo, None])
        told.append(
            Prediction(
                path=path,
                caption=question.caption,
                caption_from=question.caption_from,
                distance="hamming" if knn.distance == "hamming" else "cosine",
                thresholds=dict(database.thresholds),
                predicted=predicted,
                tags=tags,
                neighbours=_neighbours(database, near, knn, predicted),
                warning=UNLIKE if unlike[photo] else None,
            )
        )
    return told


def _tags(
    database: Database, predictions: Predictions, photo: int, top: int
) -> tuple[tuple[Tag, ...], tuple[str, ...]]:
    """The best of every predictor; and the names of what reaches the threshold."""
    names = database.dataset.category_names
    of = {name: predictions.scores[name][photo] for name in PREDICTORS}
    ranked = {name: np.argsort(-values, kind="stable") for name, values in of.items()}
    best = {int(c) for order in ranked.values() for c in order[:top]}
    above = {name: of[name] >= database.thresholds[name] for name in PREDICTORS}
    falling = [int(c) for c in ranked[SHARED_BY]]
    tags = tuple(
        Tag(
            names[c],
            {name: float(of[name][c]) for name in PREDICTORS},
            tuple(name for name in PREDICTORS if above[name][c]),
        )
        for c in falling
        if c in best
    )
    return tags, tuple(names[c] for c in falling if above[SHARED_BY][c])


def _neighbours(
    database: Database, near: Neighbours, knn: KnnParams, predicted: tuple[str, ...]
) -> tuple[Neighbour, ...]:
    """Those of one photo, [1, K]."""
    there = near.rows != NO_ROW  # an index that is not exhaustive may find fewer than K
    weights = weights_of(near, knn.vote, tau=knn.tau, threshold=knn.threshold)
    found = []
    for row, similarity, weight in zip(
        near.rows[there], near.similarities[there], weights[there], strict=True
    ):
        image: Any = database.dataset.frame.iloc[int(database.rows[row])]
        names = np.array(database.dataset.category_names)[image["labels"].astype(bool)]
        labels = tuple(names.tolist())
        # Similarities are 1 - d / bits and (1 + cos) / 2.
        distance: float = 2 * (1 - float(similarity))
        if knn.distance == "hamming":
            distance = round((1 - float(similarity)) * database.faiss.meta.bits)
        found.append(
            Neighbour(
                image_id=int(image["image_id"]),
                file_name=str(image["file_name"]),
                distance=distance,
                similarity=float(similarity),
                weight=float(weight),
                labels=labels,
                shared=tuple(name for name in labels if name in predicted),
                caption=str(image["captions"][0]).strip(),
            )
        )
    return tuple(found)
