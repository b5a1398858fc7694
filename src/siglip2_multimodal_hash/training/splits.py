"""Inputs of a fit and its inference, from the dataset's index and embeddings."""

import numpy as np

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import CaptionPolicy, Params
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.inference import encode_dataset


def head_config(params: Params, embeddings: Embeddings) -> HeadConfig:
    """The head of params.yaml for these embeddings, with a class per prompt.

    Raises:
        ParamsError: Their widths, of which one may be 0, do not suit the fusion or the loss.
    """
    image_dim, caption_dim = embeddings.image.shape[1], embeddings.caption.shape[1]
    return HeadConfig.from_params(params, image_dim, caption_dim, len(embeddings.prompt))


def training_splits(
    index: DatasetIndex, embeddings: Embeddings, policy: CaptionPolicy
) -> tuple[TrainingData, ValidationData]:
    """Train with all captions of each image, val with the caption that evaluation uses.

    Raises:
        DataError: The embeddings are not those of the index's images and captions, or a split is
            empty.
    """
    _require_same_rows(index, embeddings)
    labels = index.labels()
    train = TrainingData.select(
        index.rows("train"),
        image=embeddings.image,
        caption=embeddings.caption,
        caption_offsets=embeddings.caption_offsets,
        labels=labels,
    )
    val = ValidationData.select(
        index.rows("val"),
        image=embeddings.image,
        caption=embeddings.captions_by_policy(policy),
        labels=labels,
    )
    return train, val


def encode_embeddings(
    network: HashNetwork,
    embeddings: Embeddings,
    policy: CaptionPolicy,
    batch_size: int,
) -> tuple[Vectors, Vectors]:
    """Soft codes (or unit vectors) and scores of every image, computed where the network is.

    See :func:`.encode_dataset`.
    """
    return encode_dataset(
        network, embeddings.image, embeddings.captions_by_policy(policy), batch_size
    )


def _require_same_rows(index: DatasetIndex, embeddings: Embeddings) -> None:
    offsets = index.caption_offsets()
    if not np.array_equal(offsets, embeddings.caption_offsets):
        raise DataError(
            f"the index has {len(offsets) - 1} images and {offsets[-1]} captions, the embeddings "
            f"{len(embeddings.image)} and {len(embeddings.caption)}, or the captions belong to "
            "other images",
            "the embeddings and the index do not belong together: run `dvc repro`",
        )
