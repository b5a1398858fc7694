"""Images of all shapes and kinds for the exactness tests, and the models' own way to embed them."""

import io
import json
from importlib import resources
from pathlib import Path

import torch
import transformers
from PIL import Image
from transformers import AutoModel, AutoProcessor

# Real photographs that installed packages bring: 640 x 427, 640 x 427 and 512 x 600.
PHOTOGRAPHS = {
    "china.jpg": ("sklearn.datasets.images", "china.jpg"),
    "flower.jpg": ("sklearn.datasets.images", "flower.jpg"),
    "portrait.jpg": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
CAPTIONS = ("A red FLOWER.", "two people on a mat", "a", "A cat and a zebra, " * 12 + "a dog")


def photographs() -> dict[str, bytes]:
    """Files by name: the photographs as they are, and what can be cut out of one of them."""
    files = {
        name: (resources.files(package) / path).read_bytes()
        for name, (package, path) in PHOTOGRAPHS.items()
    }
    with Image.open(io.BytesIO(files["china.jpg"])) as opened:
        photo = opened.convert("RGB")
    made = {
        "grey.jpg": photo.convert("L"),
        "cmyk.jpg": photo.crop((0, 0, 200, 300)).convert("CMYK"),
        "panorama.jpg": photo.crop((0, 200, 640, 240)),
        "tower.jpg": photo.crop((300, 0, 331, 427)),
        "square.png": photo.crop((0, 0, 256, 256)),
        "palette.png": photo.crop((100, 100, 350, 250)).quantize(64),
        "small.png": photo.crop((320, 100, 327, 103)),
        "pixel.png": photo.crop((320, 100, 321, 101)),
    }
    return files | {name: _encoded(image, name) for name, image in made.items()}


def _encoded(image: Image.Image, name: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG" if name.endswith(".jpg") else "PNG")
    return stream.getvalue()


def base_checkpoint(folder: Path, kind: str, *, layers: int, vocabulary: int, tiny: Path) -> Path:
    """Random weights in the shape of SigLIP 2's base size, laid out as on the hub.

    ``siglip`` is ``google/siglip2-base-patch16-256``, ``siglip2`` is
    ``google/siglip2-base-patch16-naflex``; theirs have 12 layers and a vocabulary of 256,000.

    Args:
        folder: Where to; made.
        kind: The model type.
        layers: Of each tower.
        vocabulary: Rows of the token embedding; ids beyond the tokenizer's are never looked up.
        tiny: A checkpoint whose tokenizer to take.
    """
    torch.manual_seed(0)
    width = {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": layers,
        "num_attention_heads": 12,
    }
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1}
    text = width | special | {"vocab_size": vocabulary, "max_position_embeddings": 64}
    half = [0.5, 0.5, 0.5]
    images = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": half,
        "image_std": half,
        "resample": 2,
        "rescale_factor": 1 / 255,
    }
    if kind == "siglip":
        vision = width | {"patch_size": 16, "image_size": 256}
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        own = {
            "image_processor_type": "SiglipImageProcessor",
            "size": {"height": 256, "width": 256},
        }
    else:
        vision = width | {"patch_size": 16, "num_patches": 256}
        config = transformers.Siglip2Config(text_config=text, vision_config=vision)
        own = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 16}
        own |= {"max_num_patches": 256}
    AutoModel.from_config(config).save_pretrained(folder)
    name = "SiglipProcessor" if kind == "siglip" else "Siglip2Processor"
    settings = images | own | {"processor_class": name}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "tokenizer.json").write_bytes((tiny / "tokenizer.json").read_bytes())
    tokens = json.loads((tiny / "tokenizer_config.json").read_text()) | {"processor_class": name}
    # As the hub has it: no length of its own.
    tokens["model_max_length"] = 10**30
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens))
    return folder


class Direct:
    """A checkpoint used by hand as its card says; one image, one text at a time.

    The processor is the one that resizes with Pillow, which ``AutoProcessor`` gives where
    torchvision is not installed.
    """

    def __init__(self, checkpoint: Path, max_num_patches: int):
        self.model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
        self.processor = AutoProcessor.from_pretrained(checkpoint)
        flexible = self.model.config.model_type == "siglip2"
        name = "Siglip2ImageProcessorPil" if flexible else "SiglipImageProcessorPil"
        by_pillow = getattr(transformers, name)
        self.processor.image_processor = by_pillow.from_pretrained(checkpoint)
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
