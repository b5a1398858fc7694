"""The embeddings of a dataset as files: what the ``embed`` stage writes and every later one reads.

``image.npy`` float32 [N, D_i], ``caption.npy`` float32 [M, D_t], ``caption_offsets.npy`` int64
[N + 1], ``prompt.npy`` float32 [C, D_t], ``meta.json``. Rows are in the order of the dataset's
index; image i owns the captions ``caption_offsets[i]:caption_offsets[i + 1]``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import load_array, read_json

FloatArray = npt.NDArray[np.float32]

IMAGE, CAPTION, OFFSETS, PROMPT = (
    "image.npy",
    "caption.npy",
    "caption_offsets.npy",
    "prompt.npy",
)
META = "meta.json"


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Memory-mapped embeddings; the towers' pooled output, not normalised.

    Attributes:
        image: float32 [N, D_i].
        caption: float32 [M, D_t].
        caption_offsets: int64 [N + 1].
        prompt: float32 [C, D_t], one a class.
        meta: What made them.
    """

    image: FloatArray
    caption: FloatArray
    caption_offsets: npt.NDArray[np.int64]
    prompt: FloatArray
    meta: dict[str, Any]

    def captions_by_policy(self, policy: Literal["first", "mean"]) -> FloatArray:
        """One caption embedding an image for evaluation, float32 [N, D_t]; never a random draw.

        Args:
            policy: ``first`` takes the image's first caption, ``mean`` the mean of all of them.
        """
        starts = self.caption_offsets[:-1]
        if policy == "first":
            return self.caption[starts]
        sums = np.add.reduceat(self.caption, starts, axis=0, dtype=np.float64)
        means: FloatArray = (sums / np.diff(self.caption_offsets)[:, None]).astype(np.float32)
        return means


def load_embeddings(folder: Path) -> Embeddings:
    """Map the embeddings that the ``embed`` stage wrote.

    Raises:
        DataError: A file is missing or damaged, or the arrays do not belong together.
    """
    image, caption, prompt = (
        load_array(folder / name, memory_map=True) for name in (IMAGE, CAPTION, PROMPT)
    )
    offsets = load_array(folder / OFFSETS)
    for name, array in ((IMAGE, image), (CAPTION, caption), (PROMPT, prompt)):
        if array.ndim != 2 or array.dtype != np.float32:
            raise DataError(
                f"{folder / name}: {array.dtype} {list(array.shape)}, expected a float32 matrix",
                _REMEDY,
            )
    if offsets.shape != (len(image) + 1,) or offsets[0] != 0 or offsets[-1] != len(caption):
        raise DataError(
            f"{folder}: {len(image)} images and {len(caption)} captions do not fit "
            f"{len(offsets)} offsets",
            _REMEDY,
        )
    if (np.diff(offsets) < 1).any():
        raise DataError(f"{folder / OFFSETS}: an image has no caption", _REMEDY)
    if prompt.shape[1] != caption.shape[1]:
        raise DataError(
            f"{folder}: captions have {caption.shape[1]} dimensions, prompts {prompt.shape[1]}",
            _REMEDY,
        )
    return Embeddings(image, caption, offsets, prompt, read_json(folder / META))


_REMEDY = "run `dvc repro embed` again"
