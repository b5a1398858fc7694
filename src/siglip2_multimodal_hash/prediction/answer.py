"""What a user is told about a photo: tags, and the neighbours that voted for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from siglip2_multimodal_hash.evaluation.store import PREDICTORS
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.prediction.captions import ALIKE
from siglip2_multimodal_hash.prediction.predictor import CaptionFrom, PhotoScores
from siglip2_multimodal_hash.prediction.run import FinishedRun
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW

SHARED_BY = "hybrid"
"""The predictor whose tags a neighbour's labels are compared with."""

CAPTION_NOTES: dict[CaptionFrom, str] = {
    "given": "given",
    "nearest_images": "none given: the mean of the captions of the "
    f"{ALIKE} database images that look most like the photo stands in",
    "unused": "not used: this head takes images alone",
}


@dataclass(frozen=True)
class Tag:
    """A class with its scores.

    Attributes:
        name: Of the class.
        scores: By predictor, 0 to 1.
        above: The predictors whose score reaches the threshold tuned on val.
    """

    name: str
    scores: dict[str, float]
    above: tuple[str, ...]


@dataclass(frozen=True)
class Neighbour:
    """A database image that voted.

    Attributes:
        image_id: Of the dataset.
        file_name: Under ``images/``.
        distance: Bits that differ, or 1 less the cosine; see ``knn.distance``.
        similarity: 0 to 1.
        weight: In the vote; the weights of a photo's neighbours sum to 1.
        labels: Its labels.
        shared: Those of them that are predicted for the photo.
        caption: Its first caption.
    """

    image_id: int
    file_name: str
    distance: float
    similarity: float
    weight: float
    labels: tuple[str, ...]
    shared: tuple[str, ...]
    caption: str


@dataclass(frozen=True)
class Prediction:
    """One photo.

    Attributes:
        path: The file.
        caption: As given.
        caption_from: What the head took for a caption.
        distance: What the neighbours' distance is: ``hamming`` or ``cosine``.
        thresholds: Of each predictor.
        predicted: The classes at or above the threshold of :data:`SHARED_BY`, best first.
        tags: The best of every predictor, by falling score of :data:`SHARED_BY`.
        neighbours: Nearest first.
    """

    path: Path
    caption: str | None
    caption_from: CaptionFrom
    distance: str
    thresholds: dict[str, float]
    predicted: tuple[str, ...]
    tags: tuple[Tag, ...]
    neighbours: tuple[Neighbour, ...]


def describe_photos(
    run: FinishedRun, scores: PhotoScores, caption: str | None, knn: KnnParams, top: int
) -> list[Prediction]:
    """Put words to the scores of every photo.

    Args:
        run: What was searched.
        scores: Of the photos.
        caption: As given.
        knn: As the photos were scored.
        top: Tags of each predictor that are told.
    """
    return [_describe(run, scores, photo, caption, knn, top) for photo in range(len(scores.paths))]


def _describe(
    run: FinishedRun,
    scores: PhotoScores,
    photo: int,
    caption: str | None,
    knn: KnnParams,
    top: int,
) -> Prediction:
    names = run.dataset.category_names
    of = {name: scores.predictions.scores[name][photo] for name in PREDICTORS}
    ranked = {name: np.argsort(-values, kind="stable") for name, values in of.items()}
    told = {int(c) for order in ranked.values() for c in order[:top]}
    above = {name: of[name] >= run.thresholds[name] for name in PREDICTORS}
    best_first = [int(c) for c in ranked[SHARED_BY]]
    tags = tuple(
        Tag(
            names[c],
            {name: float(of[name][c]) for name in PREDICTORS},
            tuple(name for name in PREDICTORS if above[name][c]),
        )
        for c in best_first
        if c in told
    )
    predicted = tuple(names[c] for c in best_first if above[SHARED_BY][c])
    return Prediction(
        path=scores.paths[photo],
        caption=caption,
        caption_from=scores.caption_from,
        distance="hamming" if knn.distance == "hamming" else "cosine",
        thresholds=dict(run.thresholds),
        predicted=predicted,
        tags=tags,
        neighbours=_neighbours(run, scores, photo, knn, predicted),
    )


def _neighbours(
    run: FinishedRun,
    scores: PhotoScores,
    photo: int,
    knn: KnnParams,
    predicted: tuple[str, ...],
) -> tuple[Neighbour, ...]:
    rows, similarities = (part[photo] for part in scores.predictions.neighbours)
    frame = run.dataset.frame
    found = []
    for item, similarity, weight in zip(rows, similarities, scores.weights[photo], strict=True):
        if item == NO_ROW:  # an index that is not exhaustive may find fewer
            continue
        image: Any = frame.iloc[int(run.database[item])]
        carried = image["labels"].astype(bool)
        labels = tuple(
            name for name, has in zip(run.dataset.category_names, carried, strict=True) if has
        )
        # Similarities are 1 - d / bits and (1 + cos) / 2.
        distance: float = 2 * (1 - float(similarity))
        if knn.distance == "hamming":
            distance = round((1 - float(similarity)) * run.faiss.meta.bits)
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
