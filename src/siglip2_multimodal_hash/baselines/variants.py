"""The head with less: variants of the one of params.yaml, and their figures."""

import logging
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.arrays import Labels
from siglip2_multimodal_hash.baselines.store import modality_of, read_left_out
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_by_search
from siglip2_multimodal_hash.evaluation.protocol import Figures
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import KnnParams, Modalities, Params, unlike_widths
from siglip2_multimodal_hash.progress import track
from siglip2_multimodal_hash.retrieval.store import read_head_codes

logger = logging.getLogger(__name__)


def common_head(params: Params, vectors: Embeddings) -> HeadConfig:
    """The head of params.yaml but for its type of fusion: what the variants have in common.

    So a change of ``fusion.type`` or ``fusion.modalities`` leaves them as they are. It takes every
    modality that the features have.
    """
    return HeadConfig(
        image_dim=vectors.image.shape[1],
        caption_dim=vectors.caption.shape[1],
        classes=len(vectors.prompt),
        eps=params.decomposer.eps,
        adapter=params.decomposer.adapter,
        fusion="concat",
        modalities=modalities_of(vectors),
        mlp_dims=params.fusion.mlp_dims,
        dropout=params.fusion.dropout,
        activation=params.fusion.activation,
        bits=params.hash.bits,
        classifier_bias=params.classifier.use_bias,
        project_dim=params.fusion.project_dim,
        projection=params.fusion.projection,
        normalize=params.hash.normalize,
        shortcut=params.hash.has_shortcut,
    )


def plain_mlp(params: Params, vectors: Embeddings) -> HeadConfig:
    """Classifier on [v_img, v_txt], or on the one there is: no decomposition, no hash layer."""
    return HeadConfig(
        image_dim=vectors.image.shape[1],
        caption_dim=vectors.caption.shape[1],
        classes=len(vectors.prompt),
        eps=1.0,  # of a decomposition that there is not
        adapter="none",
        fusion="raw",
        modalities=modalities_of(vectors),
        mlp_dims=params.fusion.mlp_dims,
        dropout=params.fusion.dropout,
        activation=params.fusion.activation,
        bits=0,
        classifier_bias=params.classifier.use_bias,
    )


def modalities_of(vectors: Embeddings) -> Modalities:
    """The modalities that the features have: imported ones may be of one alone."""
    if vectors.image.shape[1] and vectors.caption.shape[1]:
        return "both"
    return "image" if vectors.image.shape[1] else "caption"


VARIANTS: dict[str, dict[str, Any]] = {
    # [d_img, d_txt, d_img * d_txt]: the head without the magnitudes.
    "direction_only": {"fusion": "hadamard", "modalities": "both"},
    # The direction of one alone, with as many bits as the head.
    "image_only": {"fusion": "concat", "modalities": "image"},
    "caption_only": {"fusion": "concat", "modalities": "caption"},
    # [m_img, m_txt], or the one there is: the lengths without the directions.
    "magnitude_only": {"fusion": "magnitude", "project_dim": 0},
}
"""Changes of each to :func:`common_head`."""


def left_out_variants(config: HeadConfig) -> dict[str, str]:
    """The variants that features of these widths do not allow, each with the reason.

    Args:
        config: Of :func:`common_head`; a modality that the features do not have is 0 wide.
    """
    image, caption = config.image_dim, config.caption_dim
    missing = {
        "image_only": "" if image else "there are no image features",
        "caption_only": "" if caption else "there are no caption features",
    }
    missing["direction_only"] = missing["image_only"] or missing["caption_only"]
    if unlike_widths(image, caption, config.project_dim):
        missing["direction_only"] = missing["direction_only"] or (
            f"a product needs equal widths, not {image} and {caption}: set fusion.project_dim"
        )
    return {name: reason for name, reason in missing.items() if reason}


def variant_configs(config: HeadConfig) -> dict[str, HeadConfig]:
    """Every variant that features of these widths allow, by name; the log says which they do not.

    Args:
        config: Of :func:`common_head`.
    """
    left_out = left_out_variants(config)
    for name, reason in left_out.items():
        logger.info("%s: left out, because %s", name, reason)
    return {
        name: config.model_copy(update=changes)
        for name, changes in VARIANTS.items()
        if name not in left_out
    }


def evaluate_variants(
    folder: Path, labels: Labels, rows: SplitRows, knn: KnnParams
) -> dict[str, Figures]:
    """Figures of the variants, each in a folder of its name, with its ``modality``.

    Those that could not be trained (see :func:`.store.read_left_out`) have no row.

    Raises:
        DataError: A variant's folder is missing or damaged.
    """
    figures: dict[str, Figures] = {}
    left_out = read_left_out(folder)
    there = modality_of("image_only" not in left_out, "caption_only" not in left_out)
    of_one = {"image_only": "image", "caption_only": "caption"}
    for name in track(VARIANTS, "variants", "variant"):
        if name in left_out:
            logger.info("%s: left out, because %s", name, left_out[name])
            continue
        found = evaluate_by_search(read_head_codes(folder / name), labels, rows, knn)
        figures[name] = {"modality": of_one.get(name, there), **found}
    return figures
