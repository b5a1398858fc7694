"""A finished run, its towers and some photos, from files to answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from siglip2_multimodal_hash.features.devices import choose_device
from siglip2_multimodal_hash.features.lean_loading import load_towers_leanly
from siglip2_multimodal_hash.features.tuned import embedded_backbone
from siglip2_multimodal_hash.params import KnnParams, Params
from siglip2_multimodal_hash.prediction.answer import Prediction, describe_photos
from siglip2_multimodal_hash.prediction.differences import head_differences
from siglip2_multimodal_hash.prediction.predictor import caption_source, score_photos
from siglip2_multimodal_hash.prediction.run import check_towers, load_run


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
    data: Path,
    outputs: Path,
) -> Answer:
    """Predict the tags of photos.

    Args:
        params: Whole.
        knn: The section to use, which may differ from that of ``params`` in ``K``.
        files: Photos.
        caption: Of every photo, or None.
        top: Tags of each predictor that are told.
        data: The dataset's folder.
        outputs: The folder of the dataset and backbone.

    Raises:
        DataError: See :func:`.run.load_run` and :func:`.run.check_towers`.
        InputError: See :func:`.predictor.score_photos` and :func:`.towers.load_towers`.
    """
    run = load_run(data, outputs, params.dataset.eval_caption)
    # Before the towers, whose loading takes longest.
    caption_source(run.network.config, caption)
    backbone = embedded_backbone(params, outputs / "towers")
    towers = load_towers_leanly(backbone, choose_device(params.runtime.device))
    # Not before: it imports transformers.
    from siglip2_multimodal_hash.features.meta import describe

    check_towers(run.embeddings.meta, describe(backbone, towers, {}), outputs / "embeddings")
    scores = score_photos(
        run, towers, files, caption, knn, params.runtime.dataloader.embed_batch_size
    )
    notes = head_differences(params, run.network.config)
    if knn.K != params.knn.K:
        notes.append(
            f"{knn.K} neighbours voted; the thresholds of knn and hybrid were tuned with "
            f"knn.K = {params.knn.K}"
        )
    return Answer(describe_photos(run, scores, caption, knn, top), notes, scores.failures)
