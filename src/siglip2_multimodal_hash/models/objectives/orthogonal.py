"""One loss for all: cosines with fixed orthogonal targets (OrthoHash; Hoe et al., NeurIPS 2021).

Maximising the cosine with a binary target separates the classes and quantises the code at once. The
paper balances the bits by batch normalisation before the sign: set ``hash.normalize: batchnorm``.
"""

import math

from torch import Tensor
from torch.nn import functional

from siglip2_multimodal_hash.models.objectives.central import hash_centres


def cosine_logits(pre_code: Tensor, classes: int) -> Tensor:
    """Scaled cosine s cos(u, o_c) with the fixed target o_c of each class, [..., classes].

    The scale is s = sqrt(2) log(C - 1), at which a softmax over C cosines can become sure of one
    class (AdaCos; Zhang et al., CVPR 2019).

    Args:
        pre_code: [..., bits], u.
        classes: C, at least 3.
    """
    bits = pre_code.shape[-1]
    targets = hash_centres(classes, bits).to(pre_code) / math.sqrt(bits)
    return (
        math.sqrt(2) * math.log(classes - 1) * functional.normalize(pre_code, dim=-1) @ targets.mT
    )


def orthogonal_loss(pre_code: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of softmax(s cos) with the item's labels, which share the probability evenly.

    -sum over c of y_c / |y| log softmax(s cos(u, o))_c, mean over the items that have a label; 0
    where none has. The margin of the paper is left out: an item of several labels
    cannot keep it from all of them.

    Args:
        pre_code: [..., bits], u.
        labels: [..., C] of 0 and 1, in the dtype of ``pre_code``.
    """
    log_p = functional.log_softmax(cosine_logits(pre_code, labels.shape[-1]), dim=-1)
    counts = labels.sum(dim=-1)
    costs = -(labels * log_p).sum(dim=-1) / counts.clamp(min=1)
    return costs.sum() / (counts > 0).sum().clamp(min=1)
