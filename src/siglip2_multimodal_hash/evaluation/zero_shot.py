"""Zero-shot scores: how close an image lies to the prompt of each class, without any training."""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import check_size
from siglip2_multimodal_hash.retrieval.codes import unit_vectors


def zero_shot_scores(
    images: npt.NDArray[Any], prompts: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """(1 + cos(image, prompt)) / 2, float32 [N, C] in [0, 1].

    The mapping keeps the order, so mAP is that of the cosine. It is no probability: SigLIP cosines
    fill a narrow band, hence only the threshold tuned on val is meaningful.

    Args:
        images: Embeddings of images, float [N, D], of any length.
        prompts: Embeddings of the class prompts, float [C, D], of any length.

    Raises:
        DataError: NaN or infinity, or the towers' dimensions differ.
    """
    image_units, prompt_units = unit_vectors(images), unit_vectors(prompts)
    check_size(
        "dimensions of the image embeddings",
        image_units.shape[1],
        "of the prompt embeddings",
        prompt_units.shape[1],
    )
    cosines = image_units.astype(np.float64) @ prompt_units.T.astype(np.float64)
    return ((1 + cosines) / 2).clip(0, 1).astype(np.float32)
