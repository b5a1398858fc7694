"""Sizes of a checkpoint's towers, which decide the memory that they take."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siglip2_multimodal_hash.features.spec import TowerSpec

# SigLIP 2's sizes (Tschannen et al., 2025): width, width of the MLP, layers.
_SIZES = {
    "base": (768, 3072, 12),
    "large": (1024, 4096, 24),
    "so400m": (1152, 4304, 27),
    "giant": (1536, 6144, 40),
}
# The giant's text tower is that of so400m.
_TEXT_SIZES = _SIZES | {"giant": _SIZES["so400m"]}
_VOCABULARY = 256_000

# Defaults of transformers, which config.json leaves out.
_VISION_DEFAULTS: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "image_size": 224,
    "patch_size": 16,
}
_TEXT_DEFAULTS: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "vocab_size": 32_000,
}


@dataclass(frozen=True)
class Tower:
    """One tower: D, F, L, T positions per item, and the 4-byte values of an item as it enters."""

    width: int
    mlp_width: int
    layers: int
    positions: int
    input_values: int

    @property
    def layer_weights(self) -> int:
        """4 D² for query, key, value and output; 2 D F for the MLP; biases and norms are small."""
        return self.layers * (4 * self.width**2 + 2 * self.width * self.mlp_width)


@dataclass(frozen=True)
class TowerSizes:
    """Both towers.

    Attributes:
        image: The image tower.
        text: The text tower.
        caption_dim: Width of its pooled output, which a projection makes that of the images.
        parameters: Of both together.
        known: False where the name tells nothing and base's sizes stand in.
    """

    image: Tower
    text: Tower
    caption_dim: int
    parameters: int
    known: bool = True


def tower_sizes(
    backbone: TowerSpec, config: Mapping[str, Any] | None, weights: int | None = None
) -> TowerSizes:
    """The sizes of a checkpoint.

    Args:
        backbone: Name, patches of a NaFlex image, tokens of a text.
        config: Content of ``config.json``. None where it is not here: then the name on the hub
            tells, such as ``large-patch16-256``.
        weights: Bytes of the weights, 4 each: SigLIP 2's are float32. None counts them by the
            layers, the vocabulary and the image tower's pooling head (4 D² + 2 D F).
    """
    known = True
    if config is None or not isinstance(config.get("vision_config"), Mapping):
        config, known = _config_by_name(backbone.checkpoint)
    vision = _VISION_DEFAULTS | dict(config["vision_config"])
    text = _TEXT_DEFAULTS | dict(config.get("text_config") or {})
    patch = vision["patch_size"]
    flexible = config.get("model_type") == "siglip2"
    patches = backbone.max_num_patches if flexible else (vision["image_size"] // patch) ** 2
    values = patches * 3 * patch**2 if flexible else 3 * vision["image_size"] ** 2
    image_tower = _tower(vision, patches, values)
    length = backbone.text_max_length
    text_tower = _tower(text, length, 2 * length)  # token numbers are int64
    head = image_tower.layer_weights // image_tower.layers
    counted = image_tower.layer_weights + head + text_tower.layer_weights
    counted += text["vocab_size"] * text_tower.width + 3 * patch**2 * image_tower.width
    parameters = weights // 4 if weights else counted
    caption_dim = text.get("projection_size", text_tower.width)
    return TowerSizes(image_tower, text_tower, caption_dim, parameters, known)


def _tower(config: Mapping[str, Any], positions: int, input_values: int) -> Tower:
    return Tower(
        config["hidden_size"],
        config["intermediate_size"],
        config["num_hidden_layers"],
        positions,
        input_values,
    )


def _config_by_name(name: str) -> tuple[dict[str, Any], bool]:
    size = next((size for size in _SIZES if size in name), None)
    shape = re.search(r"patch(\d+)-(\d+|naflex)", name)
    patch, side = shape.groups() if shape else ("16", "256")
    vision = _named(_SIZES[size or "base"]) | {"patch_size": int(patch)}
    text = _named(_TEXT_SIZES[size or "base"]) | {"vocab_size": _VOCABULARY}
    text["projection_size"] = vision["hidden_size"]
    kind = "siglip2" if side == "naflex" else "siglip"
    if side != "naflex":
        vision["image_size"] = int(side)
    config = {"model_type": kind, "vision_config": vision, "text_config": text}
    return config, bool(size and shape)


def _named(size: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("hidden_size", "intermediate_size", "num_hidden_layers"), size, strict=True))
