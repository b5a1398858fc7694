"""The figure of val that chooses the best epoch: ``training.monitor``."""

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.evaluation.heads import predict
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import CaptionPolicy, KnnParams, Monitor
from siglip2_multimodal_hash.retrieval.codes import binarize
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData

MONITORED: dict[Monitor, str] = {
    "mlp": "val_mAP",
    "knn": "val_knn_mAP",
    "hybrid": "val_hybrid_mAP",
    "f1_macro": "val_f1_macro",
    "f1_micro": "val_f1_micro",
}
"""Name of each in the history."""


def read_vote(path: Path) -> KnnParams | None:
    """The vote that a fit follows, as ``check_params`` leaves it; None where it follows none.

    A fit depends on this file in the place of the section ``knn``, so that a change of the vote
    fits nothing anew where the classifier is monitored.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        stored = read_json(path)
        return None if stored is None else KnnParams.model_validate(stored)
    except ValidationError:
        raise DataError(f"{path}: not the section knn", "run `dvc repro check_params`") from None


def vote_figures(
    network: HashNetwork,
    train: TrainingData,
    val: ValidationData,
    vote: KnnParams,
    policy: CaptionPolicy,
) -> dict[str, float]:
    """``knn_mAP`` and ``hybrid_mAP`` of val, whose items are searched in the training split.

    Search and vote are those of the evaluation, by an exhaustive index.

    Args:
        network: On the device.
        train: The database, each image with the caption that ``policy`` takes.
        val: The queries.
        vote: The section ``knn``.
        policy: ``dataset.eval_caption``.

    Raises:
        InputError: ``knn.K`` is more than the training split has.
    """
    batches = [*train.evaluation_pairs(policy), *val.pairs()]
    encoded = [network.encode(*(v.to(val.labels.device) for v in pair)) for pair in batches]
    soft, scores = (
        np.concatenate([v.cpu().numpy() for v in of]) for of in zip(*encoded, strict=True)
    )
    codes = HeadCodes(soft, binarize(soft) if network.config.bits else None, scores)
    database, queries = np.split(np.arange(len(soft)), [len(train)])
    labels = train.labels.cpu().numpy().astype(np.uint8)
    index = build_index(codes.searchable()[database])
    found = predict(codes, index, labels, database, queries, vote).scores
    truth = val.labels.cpu().numpy()
    return {
        f"{name}_mAP": mean_average_precision(found[name], truth).value
        for name in ("knn", "hybrid")
    }
