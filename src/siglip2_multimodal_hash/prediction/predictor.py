"""Photos to tags: towers, head, search and vote of the pipeline, on what is in no dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.evaluation.heads import Predictions, predict
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.prediction.captions import stand_in_captions
from siglip2_multimodal_hash.prediction.embedding import embed_caption, embed_photos
from siglip2_multimodal_hash.prediction.run import FinishedRun
from siglip2_multimodal_hash.retrieval.checks import check_neighbour_count
from siglip2_multimodal_hash.retrieval.codes import binarize
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.retrieval.voting import vote_weights
from siglip2_multimodal_hash.training.inference import encode_dataset

if TYPE_CHECKING:
    from siglip2_multimodal_hash.features.towers import Towers

CaptionFrom = Literal["given", "nearest_images", "unused"]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PhotoScores:
    """What the predictors say about n photos.

    Attributes:
        paths: The photos.
        predictions: Scores [n, C], and neighbours [n, K] as rows within the database.
        weights: Of the neighbours in the vote, float64 [n, K].
        caption_from: Where the captions came from.
        failures: A message for each file that is no photo.
    """

    paths: tuple[Path, ...]
    predictions: Predictions
    weights: npt.NDArray[np.float64]
    caption_from: CaptionFrom
    failures: tuple[str, ...]


def caption_source(head: HeadConfig, caption: str | None) -> CaptionFrom:
    """Where the caption of a photo comes from.

    Raises:
        InputError: The head takes captions alone, and there is none; or the caption is blank.
    """
    if caption is not None and not caption.strip():
        raise InputError("--caption is blank", "leave it out, or describe the photo")
    if head.modalities == "image":
        return "unused"
    if caption is None and head.modalities == "caption":
        raise InputError(
            "fusion.modalities = caption: this head takes captions alone, and there is none",
            "add --caption, or fit a head with `smhash use -S fusion.modalities=image "
            "-S fusion.type=concat && dvc repro`",
        )
    return "nearest_images" if caption is None else "given"


def score_photos(
    run: FinishedRun,
    towers: "Towers",
    paths: Sequence[Path],
    caption: str | None,
    knn: KnnParams,
    batch_size: int,
) -> PhotoScores:
    """Embed, encode, search and vote.

    A photo that is in the database finds itself there, at distance 0 if its caption is the same:
    it is not left out.

    Args:
        run: Of the towers' embeddings.
        towers: On the device to compute on; the head goes there too.
        paths: Files.
        caption: Of every photo; None where there is none.
        knn: How to search and vote.
        batch_size: Photos at a time.

    Raises:
        InputError: See :func:`caption_source`; or ``knn.K`` is more than the database has.
    """
    source = caption_source(run.network.config, caption)
    check_neighbour_count(knn.K, len(run.database), "--k")
    photos = embed_photos(towers, paths, batch_size)
    v_img = _as_stored(photos.image, run)
    if not len(v_img):
        v_img = np.empty((0, run.network.config.image_dim), dtype=np.float32)
    v_txt = _captions(run, towers, v_img, caption, source)
    soft, scores = encode_dataset(run.network.to(towers.device), v_img, v_txt, batch_size)
    predictions = _predict(run, soft, scores, knn)
    similarities = predictions.neighbours.similarities
    weights = vote_weights(similarities, knn.vote, tau=knn.tau, threshold=knn.threshold)
    return PhotoScores(photos.paths, predictions, weights, source, photos.failures)


def _captions(
    run: FinishedRun, towers: "Towers", v_img: FloatArray, caption: str | None, source: CaptionFrom
) -> FloatArray:
    if source == "unused" or not len(v_img):
        return np.zeros((len(v_img), run.network.config.caption_dim), dtype=np.float32)
    if caption is None:
        return stand_in_captions(v_img, run.embeddings, run.database)
    return np.repeat(_as_stored(embed_caption(towers, caption), run), len(v_img), axis=0)


def _predict(run: FinishedRun, soft: FloatArray, scores: FloatArray, knn: KnnParams) -> Predictions:
    """The vote of the database for codes that are not of the dataset."""
    database, n = run.database, len(run.database)
    stored = run.codes.rows(database)
    packed = None if stored.packed is None else np.concatenate([stored.packed, binarize(soft)])
    # The classifier is asked about the photos alone.
    unasked = np.zeros((n, scores.shape[1]), dtype=np.float32)
    codes = HeadCodes(
        np.concatenate([stored.soft, soft]), packed, np.concatenate([unasked, scores])
    )
    return predict(
        codes,
        run.faiss,
        run.dataset.labels()[database],
        np.arange(n),
        np.arange(n, n + len(soft)),
        knn,
    )


def _as_stored(v: FloatArray, run: FinishedRun) -> FloatArray:
    """Rounded as the dataset's embeddings were: ``backbone.store_dtype``."""
    dtype = torch.float16 if run.embeddings.meta.get("dtype") == "float16" else torch.float32
    rounded: FloatArray = torch.from_numpy(v).to(dtype).float().numpy()
    return rounded
