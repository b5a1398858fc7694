"""Modality of a row of figures: a fused row must never be read as an image-only one."""

from typing import Literal

from siglip2_multimodal_hash.evaluation.protocol import Figures

Modality = Literal["fused", "image", "caption"]


def modality_of(image_dim: int, caption_dim: int) -> Modality:
    """Name what features of these widths hold; a modality that is not there is 0 wide."""
    if image_dim and caption_dim:
        return "fused"
    return "image" if image_dim else "caption"


def named(rows: dict[str, Figures], modality: Modality) -> dict[str, Figures]:
    """The rows, each with its ``modality``."""
    return {name: {"modality": modality, **figures} for name, figures in rows.items()}
