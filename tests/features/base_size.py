"""Checkpoints in the shape of SigLIP 2's base size, with random weights."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModel, PreTrainedConfig


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
        config: PreTrainedConfig = transformers.SiglipConfig(text_config=text, vision_config=vision)
        own: dict[str, Any] = {
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
