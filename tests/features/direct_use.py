"""The models' own way to embed, which the towers must agree with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor
from transformers import AutoModel, AutoProcessor


def own_processor(checkpoint: Path) -> Any:
    """``AutoProcessor`` as it is without torchvision: images are resized by Pillow."""
    processor = AutoProcessor.from_pretrained(checkpoint)
    name = type(processor.image_processor).__name__.removesuffix("Pil")
    by_pillow = getattr(transformers, f"{name}Pil")
    processor.image_processor = by_pillow.from_pretrained(checkpoint)
    return processor


class Direct:
    """A checkpoint used by hand as its card says."""

    def __init__(self, checkpoint: Path, max_num_patches: int = 16) -> None:
        self.model: Any = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
        flexible = self.model.config.model_type == "siglip2"
        self.processor = own_processor(checkpoint)
        self.options = {"max_num_patches": max_num_patches} if flexible else {}

    def images(self, images: Sequence[Image.Image]) -> Tensor:
        """Pooled output, [B, D_i]."""
        inputs = self.processor(images=list(images), return_tensors="pt", **self.options)
        if self.options:
            assert set(inputs) == {"pixel_values", "pixel_attention_mask", "spatial_shapes"}
        with torch.no_grad():
            features: Tensor = self.model.get_image_features(**inputs).pooler_output
        return features

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Pooled output, [B, D_t]."""
        inputs = self.processor(
            text=[text.lower() for text in texts],
            padding="max_length",
            max_length=64,
            truncation=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            output = self.model.get_text_features(input_ids=inputs["input_ids"])
        features: Tensor = output.pooler_output
        return features
