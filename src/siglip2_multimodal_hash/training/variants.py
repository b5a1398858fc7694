"""The heads that are trained beside the one of params.yaml, as its baselines."""

from collections.abc import Callable
from dataclasses import replace

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.models.config import HeadConfig


def _mlp(config: HeadConfig) -> HeadConfig:
    """Classifier on [v_img, v_txt], or on the one there is: no decomposition, no hash layer."""
    both = config.image_dim and config.caption_dim
    return replace(
        config,
        fusion="raw",
        modalities="both" if both else config.modalities,
        adapter="none",
        project_dim=0,
        bits=0,
    )


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
    if image != caption and not config.project_dim:
        missing["direction_only"] = missing["direction_only"] or (
            f"a product needs equal widths, not {image} and {caption}: set fusion.project_dim"
        )
    return {name: reason for name, reason in missing.items() if reason}


def variant_config(name: str, config: HeadConfig) -> HeadConfig:
    """The config of a baseline, derived from the head's own.

    Raises:
        InputError: There is no baseline of that name.
    """
    try:
        return VARIANTS[name](config)
    except KeyError:
        raise InputError(f"baseline {name!r}: unknown", f"known: {', '.join(VARIANTS)}") from None
