"""Codes and scores of a whole dataset from a fitted head."""

import numpy as np
import torch

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.progress import track


def encode_dataset(
    network: HashNetwork,
    v_img: Vectors,
    v_txt: Vectors,
    batch_size: int,
) -> tuple[Vectors, Vectors]:
    """Run the head over all pairs, in float32, where it is.

    Args:
        network: On the device to compute on.
        v_img: [N, D_i] image embeddings; may be memory-mapped.
        v_txt: [N, D_t] caption embeddings; may be memory-mapped.
        batch_size: Pairs at a time; bounds the memory.

    Returns:
        Soft codes, float32 [N, bits] in [-1, 1]; without a hash layer the fused vectors at unit
        length, [N, D_z]. Scores, float32 [N, C] in [0, 1].

    Raises:
        ValueError: The two arrays differ in length.
    """
    if len(v_img) != len(v_txt):
        raise ValueError(f"{len(v_img)} image embeddings but {len(v_txt)} caption embeddings")
    device = network.classifier.weight.device
    n, config = len(v_img), network.config
    codes = np.empty((n, config.code_dim), dtype=np.float32)
    scores = np.empty((n, config.classes), dtype=np.float32)
    for start in track(range(0, n, batch_size), "codes", "batch"):
        rows = slice(start, start + batch_size)
        # A copy, because PyTorch wants to own memory that it may write to.
        image, caption = (
            torch.from_numpy(np.array(v[rows], dtype=np.float32)).to(device) for v in (v_img, v_txt)
        )
        code, score = network.encode(image, caption)
        codes[rows], scores[rows] = code.cpu().numpy(), score.cpu().numpy()
    return codes, scores
