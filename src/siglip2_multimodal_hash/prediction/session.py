"""A finished run, its towers and some photos, from files to answers.

Imports nothing heavy: the process beside this one is started before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siglip2_multimodal_hash.params import KnnParams, Params
from siglip2_multimodal_hash.prediction.answer import CaptionFrom, Prediction, Question
from siglip2_multimodal_hash.prediction.beside import database_beside
from siglip2_multimodal_hash.prediction.loading import uncollected
from siglip2_multimodal_hash.prediction.outputs import RunOutputs
from siglip2_multimodal_hash.retrieval.index_kinds import kind_of


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of the photos.

    Attributes:
        predictions: Of those that could be read, in their order.
        notes: What holds for all of them.
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
        top: Tags of each predictor that are told.
        outputs: Of the run.

    Raises:
        DataError: See :func:`.database.load_database`, :func:`.encoder.load_fitted_head` and
            :func:`.encoder.load_encoder`.
        InputError: See :func:`.encoder.check_caption`, :func:`.encoder.load_encoder` and
            :meth:`.database.Database.vote`.
    """
    with database_beside(outputs, kind_of(params.index)) as database:
        with uncollected():
            from siglip2_multimodal_hash.prediction import encoder as encoding
            from siglip2_multimodal_hash.prediction.differences import head_differences
            from siglip2_multimodal_hash.prediction.embedding import embed_photos

            network, embeddings = encoding.load_fitted_head(outputs, params.dataset.eval_caption)
            head = network.config
            # Before the towers, whose loading takes longest.
            encoding.check_caption(head, caption)
            encoder = encoding.load_encoder(params, outputs, network, embeddings.meta)
        size = params.runtime.dataloader.embed_batch_size
        photos = embed_photos(encoder.towers, files, size)
        n = len(photos.paths)
        v_img = encoder.round(photos.image) if n else np.empty((0, head.image_dim), np.float32)
        source: CaptionFrom = "given"
        if head.modalities == "image" or not n:
            source = "unused"
            v_txt = np.zeros((n, head.caption_dim), dtype=np.float32)
        elif caption is None:
            source = "nearest_images"
            v_txt = database.stand_in_captions(v_img)
        else:
            v_txt = np.repeat(encoder.embed_caption(caption), n, axis=0)
        soft, scores = encoder.encode(v_img, v_txt, size)
        seen = None if head.modalities == "caption" else v_img
        predictions = database.vote_and_tell(
            Question(photos.paths, seen, soft, scores, caption, source, knn, top)
        )
    notes = head_differences(params, head)
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
