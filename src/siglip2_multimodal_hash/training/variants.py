"""Heads trained as baselines of the one of params.yaml."""

import logging
from collections.abc import Callable

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import Modalities, Params, unlike_widths

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
        normalize=params.hash.normalize,
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


def _direction_only(config: HeadConfig) -> HeadConfig:
    """[d_img, d_txt, d_img * d_txt]: the head without the magnitudes."""
    return config.model_copy(update={"fusion": "hadamard", "modalities": "both"})


def _image_only(config: HeadConfig) -> HeadConfig:
    """The image's direction alone, with as many bits as the head."""
    return config.model_copy(update={"fusion": "concat", "modalities": "image"})


def _caption_only(config: HeadConfig) -> HeadConfig:
    """The caption's direction alone, with as many bits as the head."""
    return config.model_copy(update={"fusion": "concat", "modalities": "caption"})


def _magnitude_only(config: HeadConfig) -> HeadConfig:
    """[m_img, m_txt], or the one there is: the lengths without the directions."""
    both = config.image_dim and config.caption_dim
    modalities = "both" if both else config.modalities
    changes = {"fusion": "magnitude", "modalities": modalities, "project_dim": 0}
    return config.model_copy(update=changes)


VARIANTS: dict[str, Callable[[HeadConfig], HeadConfig]] = {
    "direction_only": _direction_only,
    "image_only": _image_only,
    "caption_only": _caption_only,
    "magnitude_only": _magnitude_only,
}


def left_out_variants(config: HeadConfig) -> dict[str, str]:
    """The baselines that features of these widths do not allow, each with the reason.

    Args:
        config: Of the head; a modality that the features do not have is 0 wide.
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
    """Every baseline that features of these widths allow, by name; the log says which they do not.

    Args:
        config: Of the head, or :func:`common_head`.
    """
    left_out = left_out_variants(config)
    for name, reason in left_out.items():
        logger.info("%s: left out, because %s", name, reason)
    return {name: variant_config(name, config) for name in VARIANTS if name not in left_out}


def variant_config(name: str, config: HeadConfig) -> HeadConfig:
    """The config of a baseline, derived from the head's own.

    Raises:
        InputError: There is no baseline of that name.
    """
    try:
        return VARIANTS[name](config)
    except KeyError:
        raise InputError(f"baseline {name!r}: unknown", f"known: {', '.join(VARIANTS)}") from None
