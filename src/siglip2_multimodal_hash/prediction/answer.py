"""Answers about photos: their tags, and the database images that voted for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.evaluation.heads import Predictions
from siglip2_multimodal_hash.params import PREDICTORS, KnnParams, Params, check_neighbour_count
from siglip2_multimodal_hash.prediction.database import ALIKE, Database, load_database
from siglip2_multimodal_hash.prediction.encoder import (
    Encoder,
    check_caption,
    head_differences,
    load_encoder,
    load_fitted_head,
)
from siglip2_multimodal_hash.prediction.outputs import RunOutputs
from siglip2_multimodal_hash.retrieval.index_kinds import kind_of
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW, Neighbours
from siglip2_multimodal_hash.retrieval.voting import weights_of

CaptionFrom = Literal["given", "nearest_images", "unused"]
"""Origin of the caption that the head was shown."""

TAGGED_BY = "hybrid"
"""The predictor whose tags count: those above its threshold are the photo's."""

CAPTION_NOTES: dict[CaptionFrom, str] = {
    "given": "given",
    "nearest_images": "none given: the mean of the captions of the "
    f"{ALIKE} database images that look most like the photo is used",
    "unused": "not used: this head takes only images",
}

UNLIKE = (
    f"this photo is unlike the dataset: the {ALIKE} database images most like it are less so than "
    "those of 99 of 100 images of val, so its tags mean little"
)
"""The warning of a photo for which :meth:`.database.Database.unlike_val` holds."""


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
    """The answer about one photo.

    Attributes:
        path: The file.
        caption: As given.
        caption_from: Origin of the caption that the head was shown.
        distance: Kind of the neighbours' distance: ``hamming`` or ``cosine``.
        thresholds: Of each predictor.
        predicted: The classes at or above the threshold of :data:`TAGGED_BY`, best first.
        tags: The best of every predictor, by falling score of :data:`TAGGED_BY`.
        neighbours: Nearest first.
        warning: Reason not to trust the tags; None where there is none.
    """

    path: Path
    caption: str | None
    caption_from: CaptionFrom
    distance: str
    thresholds: dict[str, float]
    predicted: tuple[str, ...]
    tags: tuple[Tag, ...]
    neighbours: tuple[Neighbour, ...]
    warning: str | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer about several photos.

    Attributes:
        predictions: Of those that could be read, in their order.
        notes: Remarks that hold for all of them.
        failures: A message for each of the others.
    """

    predictions: list[Prediction]
    notes: list[str]
    failures: tuple[str, ...]


def answer(
    params: Params,
    knn: KnnParams,
    files: Sequence[Path],
    caption: str | None,
    top: int,
    outputs: RunOutputs,
) -> Answer:
    """Predict the tags of photos.

    Args:
        params: Whole.
        knn: The section to use, which may differ from that of ``params`` in ``K``.
        files: Photos.
        caption: Of every photo, or None.
        top: Number of tags that are listed of each predictor.
        outputs: Of the run.

    Raises:
        DataError: See :func:`.database.load_database`, :func:`.encoder.load_fitted_head` and
            :func:`.encoder.load_encoder`.
        InputError: ``knn.K`` is more than the database has; see also
            :func:`.encoder.check_caption` and :func:`.encoder.load_encoder`.
    """
    database = load_database(outputs, kind_of(params.index))
    check_neighbour_count(knn.K, len(database.rows), "--k")
    network = load_fitted_head(outputs, database.embeddings, params.dataset.eval_caption)
    check_caption(network.config, caption)
    # Last, because the towers take longest.
    encoder = load_encoder(params, outputs, network, database.embeddings.meta)
    batch_size = params.runtime.dataloader.embed_batch_size
    photos = encoder.embed_photos(files, batch_size)
    predictions: list[Prediction] = []
    if photos.paths:
        v_txt, source = _captions(database, encoder, photos.image, caption)
        soft, scores = encoder.encode(photos.image, v_txt, batch_size)
        votes = database.vote(soft, scores, knn)
        # A head of captions alone does not look at the photos.
        looks = network.config.modalities != "caption"
        unlike = database.unlike_val(photos.image) if looks else np.zeros(len(v_txt), np.bool_)
        for photo, path in enumerate(photos.paths):
            tags, predicted = _tags(database, votes, photo, top)
            predictions.append(
                Prediction(
                    path=path,
                    caption=caption,
                    caption_from=source,
                    distance="hamming" if knn.distance == "hamming" else "cosine",
                    thresholds=dict(database.thresholds),
                    predicted=predicted,
                    tags=tags,
                    neighbours=_neighbours(database, votes, photo, knn, predicted),
                    warning=UNLIKE if unlike[photo] else None,
                )
            )
    notes = head_differences(params, network.config)
    if encoder.towers.trained_on and any(one.warning for one in predictions):
        notes.append(
            f"{params.backbone.name} was trained on {encoder.towers.trained_on} and knows nothing "
            "else: other photos need other towers and a run on such photos (`smhash use --list`)"
        )
    if knn.K != params.knn.K:
        notes.append(
            f"{knn.K} neighbours voted; the thresholds of knn and hybrid were tuned with "
            f"knn.K = {params.knn.K}"
        )
    return Answer(predictions, notes, photos.failures)


def _captions(
    database: Database, encoder: Encoder, v_img: Vectors, caption: str | None
) -> tuple[Vectors, CaptionFrom]:
    """A caption embedding for each of n photos, float32 [n, D_t], and its origin."""
    head = encoder.network.config
    if head.modalities == "image":
        return np.zeros((len(v_img), head.caption_dim), dtype=np.float32), "unused"
    if caption is None:
        return database.stand_in_captions(v_img), "nearest_images"
    return np.repeat(encoder.embed_caption(caption), len(v_img), axis=0), "given"


def _tags(
    database: Database, votes: Predictions, photo: int, top: int
) -> tuple[tuple[Tag, ...], tuple[str, ...]]:
    """The best tags of every predictor; and the names of those that reach the threshold."""
    names = database.dataset.category_names
    of = {name: votes.scores[name][photo] for name in PREDICTORS}
    ranked = {name: np.argsort(-values, kind="stable") for name, values in of.items()}
    best = {int(c) for order in ranked.values() for c in order[:top]}
    above = {name: of[name] >= database.thresholds[name] for name in PREDICTORS}
    falling = [int(c) for c in ranked[TAGGED_BY]]
    tags = tuple(
        Tag(
            names[c],
            {name: float(of[name][c]) for name in PREDICTORS},
            tuple(name for name in PREDICTORS if above[name][c]),
        )
        for c in falling
        if c in best
    )
    return tags, tuple(names[c] for c in falling if above[TAGGED_BY][c])


def _neighbours(
    database: Database, votes: Predictions, photo: int, knn: KnnParams, predicted: tuple[str, ...]
) -> tuple[Neighbour, ...]:
    """The database images that voted for a photo."""
    rows, similarities = votes.neighbours
    near = Neighbours(rows[photo, None], similarities[photo, None])
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
