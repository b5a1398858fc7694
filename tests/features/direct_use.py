"""The models' own way to embed, which the towers must agree with."""

import io
from pathlib import Path

import torch
import transformers
from PIL import Image
from transformers import AutoModel, AutoProcessor


def own_processor(checkpoint: Path):
    """``AutoProcessor`` as it is without torchvision: images are resized by Pillow."""
    processor = AutoProcessor.from_pretrained(checkpoint)
    name = type(processor.image_processor).__name__.removesuffix("Pil")
    by_pillow = getattr(transformers, f"{name}Pil")
    processor.image_processor = by_pillow.from_pretrained(checkpoint)
    return processor


class Direct:
    """A checkpoint used by hand as its card says; one image, one text at a time."""

    def __init__(self, checkpoint: Path, max_num_patches: int) -> None:
        self.model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
        flexible = self.model.config.model_type == "siglip2"
        self.processor = own_processor(checkpoint)
        self.options = {"max_num_patches": max_num_patches} if flexible else {}

    def image(self, file: bytes):
        """Pooled output, [D_i]."""
        image = Image.open(io.BytesIO(file)).convert("RGB")
        inputs = self.processor(images=[image], return_tensors="pt", **self.options)
        if self.options:
            assert set(inputs) == {"pixel_values", "pixel_attention_mask", "spatial_shapes"}
        with torch.no_grad():
            return self.model.get_image_features(**inputs).pooler_output[0].numpy()

    def text(self, text: str):
        """Pooled output, [D_t]."""
        inputs = self.processor(
            text=[text.lower()],
            padding="max_length",
            max_length=64,
            truncation=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            output = self.model.get_text_features(input_ids=inputs["input_ids"])
        return output.pooler_output[0].numpy()
