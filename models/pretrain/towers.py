"""The two tiny architectures and their forward passes, rearranged for speed on a CPU.

The passes give the same numbers as transformers' own and differ in three points: the query, key and
value projections are one matrix product; attention is written out, so that ``torch.compile`` fuses
its softmax (the fused CPU kernel is slower on 64 tokens); and the last text layer computes only the
position that is pooled. Weights are read from the modules, so these functions train the modules.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Siglip2Config, Siglip2Model, SiglipConfig, SiglipModel

from models.pretrain.tokenizer import TEXT_LENGTH

Towers = SiglipModel | Siglip2Model

IMAGE_SIZE = 128
PATCH_SIZE = 16
NAFLEX_PATCHES = 64
"""Default number of patches of the NaFlex checkpoint: those of a square image of 128 pixels."""

WIDTH = 128
HEADS = 4
VISION_LAYERS = 4
TEXT_LAYERS = 2

INITIAL_LOG_SCALE = 2.302585
"""t' = log 10, as in the paper: the loss starts with t = exp(t') = 10."""

INITIAL_BIAS = -10.0


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


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """Multi-head attention of projected [B, Tq, D] over [B, Tk, D]; mask: added, [B, 1, 1, Tk]."""
    batch, _, width = query.shape
    split = (batch, -1, heads, width // heads)
    query, key, value = (x.view(split).transpose(1, 2) for x in (query, key, value))
    scores = (query @ key.transpose(-1, -2)) * (width // heads) ** -0.5
    if mask is not None:
        scores = scores + mask
    weights = scores.float().softmax(dim=-1).to(value.dtype)
    attended: Tensor = (weights @ value).transpose(1, 2)
    return attended.reshape(batch, -1, width)


def _layer(layer: Any, x: Tensor, mask: Tensor | None, *, last_only: bool = False) -> Tensor:
    """One pre-norm encoder layer on [B, T, D]; with ``last_only`` the last position, [B, 1, D]."""
    attention = layer.self_attn
    queries, keys, values = attention.q_proj, attention.k_proj, attention.v_proj
    normed = layer.layer_norm1(x)
    if last_only:
        weight = torch.cat((keys.weight, values.weight))
        bias = torch.cat((keys.bias, values.bias))
        key, value = F.linear(normed, weight, bias).chunk(2, dim=-1)
        query, x = queries(normed[:, -1:]), x[:, -1:]
    else:
        weight = torch.cat((queries.weight, keys.weight, values.weight))
        bias = torch.cat((queries.bias, keys.bias, values.bias))
        query, key, value = F.linear(normed, weight, bias).chunk(3, dim=-1)
    x = x + attention.out_proj(_attend(query, key, value, attention.num_heads, mask))
    mlp = layer.mlp
    hidden = F.gelu(mlp.fc1(layer.layer_norm2(x)), approximate="tanh")
    result: Tensor = x + mlp.fc2(hidden)
    return result


def _pool(head: Any, tokens: Tensor, mask: Tensor | None) -> Tensor:
    """The attention pooling of the image tokens: [B, T, D] -> [B, D]."""
    attention = head.attention
    width = tokens.shape[-1]
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    query = F.linear(head.probe, weight[:width], bias[:width]).expand(tokens.shape[0], -1, -1)
    key, value = F.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=-1)
    x = attention.out_proj(_attend(query.to(key.dtype), key, value, attention.num_heads, mask))
    mlp = head.mlp
    hidden = F.gelu(mlp.fc1(head.layernorm(x)), approximate="tanh")
    result: Tensor = x + mlp.fc2(hidden)
    return result[:, 0]


def encode_patches(model: Towers, embedded: Tensor, mask: Tensor | None = None) -> Tensor:
    """Embedded patches to pooled image features.

    Args:
        model: The towers.
        embedded: [B, T, D], patch plus position embeddings.
        mask: [B, 1, 1, T], 0 for a patch and minus infinity for padding; None without padding.

    Returns:
        [B, D], not normalised.
    """
    vision: Any = model.vision_model
    x = embedded
    for layer in vision.encoder.layers:
        x = _layer(layer, x, mask)
    return _pool(vision.head, vision.post_layernorm(x), mask)


def image_features(model: SiglipModel, pixels: Tensor) -> Tensor:
    """Pooled features of square images: uint8 [B, S, S, 3] -> [B, D], not normalised."""
    embeddings: Any = model.vision_model.embeddings
    kernel, bias = embeddings.patch_embedding.weight, embeddings.patch_embedding.bias
    patches = cut_into_patches(pixels, kernel.shape[-1]).to(kernel.dtype) / 127.5 - 1.0
    projected = F.linear(patches, flatten_kernel(kernel), bias)
    return encode_patches(model, projected + embeddings.position_embedding.weight)


def text_features(model: Towers, tokens: Tensor) -> Tensor:
    """Pooled features of padded texts: int64 [B, 64] -> [B, D], not normalised."""
    text: Any = model.text_model
    embeddings = text.embeddings
    x = embeddings.token_embedding(tokens) + embeddings.position_embedding.weight
    layers = text.encoder.layers
    for position, layer in enumerate(layers, start=1):
        x = _layer(layer, x, None, last_only=position == len(layers))
    pooled: Tensor = text.head(text.final_layer_norm(x[:, -1]))
    return pooled


def cut_into_patches(pixels: Tensor, patch: int) -> Tensor:
    """Images [B, H, W, 3] to patches in row order [B, H/P * W/P, P * P * 3].

    Within a patch: row, column, channel, as transformers' NaFlex image processor lays them out.
    """
    batch, height, width, channels = pixels.shape
    grid = pixels.view(batch, height // patch, patch, width // patch, patch, channels)
    return grid.transpose(2, 3).reshape(batch, -1, patch * patch * channels)


def flatten_kernel(kernel: Tensor) -> Tensor:
    """A convolution kernel [D, 3, P, P] as a matrix over flat patches, [D, P * P * 3].

    ``F.linear(cut_into_patches(x, P), flatten_kernel(k))`` equals the convolution of x by k with
    stride P.
    """
    return kernel.permute(0, 2, 3, 1).flatten(1)


@cache
def _resampling(rows: int, columns: int, side: int) -> npt.NDArray[np.float32]:
    """The matrix [rows * columns, side * side] of NaFlex's interpolation of its position table."""
    grid = torch.eye(side * side).view(1, side * side, side, side)
    resized = F.interpolate(
        grid, size=(rows, columns), mode="bilinear", align_corners=False, antialias=True
    )
    matrix: npt.NDArray[np.float32] = resized.view(side * side, rows * columns).T.numpy()
    return matrix


def position_weights(shapes: Tensor, most: int, side: int) -> Tensor:
    """Weights of the table's positions in each patch's: float32 [B, most, side * side].

    The table is interpolated linearly, so the images of a batch need one matrix product and not
    an interpolation each. Rows of padding are zero.

    Args:
        shapes: int64 [B, 2], rows and columns of patches.
        most: T, the length to which the images are padded.
        side: Side of the table, which holds side * side positions.
    """
    weights = np.zeros((len(shapes), most, side * side), dtype=np.float32)
    for number, (rows, columns) in enumerate(shapes.tolist()):
        weights[number, : rows * columns] = _resampling(rows, columns, side)
    return torch.from_numpy(weights)


def flexible_features(
    model: Siglip2Model, values: Tensor, mask: Tensor, positions: Tensor
) -> Tensor:
    """Pooled features, [B, D], not normalised.

    Args:
        model: The towers.
        values: uint8 [B, T, 768], flat patches; see :class:`.scenes.Patches`.
        mask: bool [B, T], False for padding.
        positions: float32 [B, T, side * side], from :func:`position_weights`.
    """
    embeddings = model.vision_model.embeddings
    kernel = embeddings.patch_embedding
    patches = values.to(kernel.weight.dtype) / 127.5 - 1.0
    table = embeddings.position_embedding.weight
    hidden = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, float("-inf"))
    return encode_patches(model, kernel(patches) + positions @ table, hidden[:, None, None, :])


def square_features(model: Siglip2Model, pixels: Tensor) -> Tensor:
    """Pooled features of square images at the default number of patches.

    Args:
        model: The towers.
        pixels: uint8 [B, 128, 128, 3].

    Returns:
        [B, D], not normalised.
    """
    values = cut_into_patches(pixels, PATCH_SIZE)
    side = IMAGE_SIZE // PATCH_SIZE
    shapes = torch.tensor([(side, side)]).expand(len(pixels), 2)
    mask = torch.ones(values.shape[:2], dtype=torch.bool, device=pixels.device)
    positions = position_weights(shapes, side * side, side).to(pixels.device)
    return flexible_features(model, values, mask, positions)
