"""The towers' forward passes, rearranged for speed on a CPU; the same numbers as transformers'.

Three things differ from the modules' own ``forward``: the query, key and value projections are
one matrix product; attention is written out, so that ``torch.compile`` fuses its softmax (the
fused CPU kernel is slower on 64 tokens); and the last text layer computes the one position that
is pooled. Weights are read from the modules, so these functions train the modules themselves.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Siglip2Model, SiglipModel

Towers = SiglipModel | Siglip2Model


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
        model: the towers.
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
