"""What stands in for a caption that a photo does not have.

The head was fitted on pairs. Without a caption a photo gets the mean of the captions of the
:data:`.answer.ALIKE` database images that look most like it: the mean of their directions, and the
mean of their log-magnitudes, which are the two parts that the head takes a caption apart into. On
mojicoco val (mAP of knn, mlp and hybrid in percent) that gives 70.9, 78.4 and 76.6 where the
photos' own captions give 74.3, 81.9 and 79.7; the caption of the nearest image alone gives 68.2,
75.0 and 73.2, and the prompt "a photo of a X and a Y." of the two best zero-shot classes 70.3, 78.5
and 76.3. A mean of real captions needs no prompt that suits the towers, and no class that a
zero-shot guess might miss.
"""

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.features.store import Embeddings

FloatArray = npt.NDArray[np.float32]


def stand_in_captions(alike: npt.NDArray[np.int64], embeddings: Embeddings) -> FloatArray:
    """A caption embedding for each of n photos.

    Args:
        alike: int64 [n, K], rows of the images most like each.
        embeddings: Of the dataset.

    Returns:
        float32 [n, D_t].
    """
    return mean_caption(embeddings.caption[embeddings.caption_offsets[alike]])


def mean_caption(captions: FloatArray) -> FloatArray:
    """The mean direction of K captions, as long as the mean of their log-lengths says.

    Args:
        captions: float32 [n, K, D_t].

    Returns:
        float32 [n, D_t].
    """
    vectors = captions.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=2).clip(np.finfo(np.float32).tiny)
    directions = (vectors / lengths[..., None]).mean(axis=1)
    shrunk = np.linalg.norm(directions, axis=1, keepdims=True).clip(np.finfo(np.float32).tiny)
    mean: FloatArray = (
        directions / shrunk * np.exp(np.log(lengths).mean(axis=1, keepdims=True))
    ).astype(np.float32)
    return mean
