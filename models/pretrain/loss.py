"""The sigmoid loss of SigLIP (Zhai et al., ICCV 2023, algorithm 1), several texts per image."""

from hashlib import blake2b

import torch
from torch import Tensor
from torch.nn import functional as F


def sigmoid_loss(
    images: Tensor, texts: Tensor, log_scale: Tensor, bias: Tensor, positives: Tensor
) -> Tensor:
    """Mean over the texts of the summed log losses of each with every image.

    With z = exp(t') * cos(image, text) + b, a pair costs -log sigmoid(z) when it is positive and
    -log sigmoid(-z) otherwise.

    Args:
        images: [B, D], of any length: normalised here.
        texts: [T, D], likewise.
        log_scale: t', one number.
        bias: b, one number.
        positives: bool [B, T].

    Returns:
        The loss, a scalar in float32.
    """
    images = F.normalize(images.float(), dim=-1)
    texts = F.normalize(texts.float(), dim=-1)
    logits = images @ texts.T * log_scale.exp() + bias
    signs = torch.where(positives, 1.0, -1.0)
    return -F.logsigmoid(signs * logits).sum() / texts.shape[0]


def text_code(text: str) -> int:
    """A 63-bit fingerprint of a text: processes exchange these instead of the words."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def positive_pairs(codes: Tensor) -> Tensor:
    """Pairs of images and texts that belong together: equal texts count as the same.

    Args:
        codes: int64 [B, n], codes of the n texts of each image.

    Returns:
        bool [B, n * B]. Column ``k * B + j`` stands for text ``k`` of image ``j``.
    """
    return (codes[:, :, None] == codes.T.reshape(1, 1, -1)).any(dim=1)
