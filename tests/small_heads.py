"""The head that the tests of networks and of fits make small in their own ways."""

from typing import Any

from siglip2_multimodal_hash.models.config import HeadConfig


def small_head_config(
    dim: int, classes: int, mlp_dims: tuple[int, ...], changes: dict[str, Any]
) -> HeadConfig:
    """16 bits, without dropout, for embeddings of width ``dim``; then ``changes``."""
    values: dict[str, Any] = {
        "image_dim": dim,
        "caption_dim": dim,
        "classes": classes,
        "eps": 1e-6,
        "adapter": "none",
        "fusion": "hadamard_with_magnitude",
        "modalities": "both",
        "mlp_dims": mlp_dims,
        "dropout": 0.0,
        "activation": "relu",
        "bits": 16,
        "classifier_bias": True,
    }
    return HeadConfig(**(values | changes))
