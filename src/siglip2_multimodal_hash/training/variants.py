"""The heads that are trained beside the one of params.yaml, as its baselines."""

from collections.abc import Callable
from dataclasses import replace

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.models.config import HeadConfig


def _mlp(config: HeadConfig) -> HeadConfig:
    """Classifier on [v_img, v_txt]: no decomposition, no hash layer."""
    return replace(config, fusion="raw", modalities="both", adapter="none", project_dim=0, bits=0)


def _direction_only(config: HeadConfig) -> HeadConfig:
    """[d_img, d_txt, d_img * d_txt]: the head without the magnitudes."""
    return replace(config, fusion="hadamard", modalities="both")


def _image_only(config: HeadConfig) -> HeadConfig:
    """The image's direction alone, with as many bits as the head."""
    return replace(config, fusion="concat", modalities="image")


def _caption_only(config: HeadConfig) -> HeadConfig:
    """The caption's direction alone, with as many bits as the head."""
    return replace(config, fusion="concat", modalities="caption")


VARIANTS: dict[str, Callable[[HeadConfig], HeadConfig]] = {
    "mlp": _mlp,
    "direction_only": _direction_only,
    "image_only": _image_only,
    "caption_only": _caption_only,
}


def variant_config(name: str, config: HeadConfig) -> HeadConfig:
    """The config of a baseline, derived from the head's own.

    Raises:
        InputError: There is no baseline of that name.
    """
    try:
        return VARIANTS[name](config)
    except KeyError:
        raise InputError(f"baseline {name!r}: unknown", f"known: {', '.join(VARIANTS)}") from None
