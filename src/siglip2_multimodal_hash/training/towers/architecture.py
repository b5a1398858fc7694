"""The two tiny architectures, and how the NaFlex one starts from the fixed-resolution one."""

from typing import Any, Final

import torch
from transformers import Siglip2Config, Siglip2Model, SiglipConfig, SiglipModel

from siglip2_multimodal_hash.training.towers.forward import flatten_kernel
from siglip2_multimodal_hash.training.towers.tokenizer import TEXT_LENGTH

IMAGE_SIZE: Final = 128
PATCH_SIZE: Final = 16
WIDTH: Final = 128
HEADS: Final = 4
VISION_LAYERS: Final = 4
TEXT_LAYERS: Final = 2

INITIAL_LOG_SCALE: Final = 2.302585
"""t' = log 10, as in the paper: the loss starts with t = exp(t') = 10."""

INITIAL_BIAS: Final = -10.0


def _encoder(width: int, layers: int, heads: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }


def _text(vocabulary: int, width: int, layers: int, heads: int) -> dict[str, int]:
    return {
        **_encoder(width, layers, heads),
        "vocab_size": vocabulary,
        "max_position_embeddings": TEXT_LENGTH,
        "projection_size": width,
        # Gemma's ids, which the tokenizer shares.
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }


def fixed_config(
    vocabulary: int,
    *,
    width: int = WIDTH,
    vision_layers: int = VISION_LAYERS,
    text_layers: int = TEXT_LAYERS,
    heads: int = HEADS,
) -> SiglipConfig:
    """The fixed-resolution architecture (model type ``siglip``) for a vocabulary of that size."""
    vision: dict[str, Any] = {
        **_encoder(width, vision_layers, heads),
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
    }
    return SiglipConfig(
        text_config=_text(vocabulary, width, text_layers, heads), vision_config=vision
    )


def new_fixed_model(config: SiglipConfig, seed: int) -> SiglipModel:
    """A fixed-resolution model with fresh weights, the loss's temperature and bias included."""
    torch.manual_seed(seed)
    model = SiglipModel(config)
    with torch.no_grad():
        model.logit_scale.fill_(INITIAL_LOG_SCALE)
        model.logit_bias.fill_(INITIAL_BIAS)
    return model


def naflex_from_fixed(fixed: SiglipModel) -> Siglip2Model:
    """A NaFlex model (model type ``siglip2``) that computes what ``fixed`` does on square images.

    The convolution becomes a matrix over flat patches (row, column, channel), and the table of
    positions the base grid that NaFlex interpolates. Everything else carries over by name.
    """
    vision: Any = fixed.config.vision_config
    text: Any = fixed.config.text_config
    side = vision.image_size // vision.patch_size
    config = Siglip2Config(
        text_config=_text(
            text.vocab_size, text.hidden_size, text.num_hidden_layers, text.num_attention_heads
        ),
        vision_config={
            **_encoder(vision.hidden_size, vision.num_hidden_layers, vision.num_attention_heads),
            "patch_size": vision.patch_size,
            "num_patches": side * side,
        },
    )
    weights = dict(fixed.state_dict())
    kernel = "vision_model.embeddings.patch_embedding.weight"
    weights[kernel] = flatten_kernel(weights[kernel])
    model = Siglip2Model(config)
    model.load_state_dict(weights)
    return model
