"""The embeddings of a dataset as files: what the ``embed`` stage writes and every later one reads.

``image.npy`` [N, D_i] and ``caption.npy`` [M, D_t] in ``backbone.store_dtype``, float32 or
float16; ``caption_offsets.npy`` int64 [N + 1], ``prompt.npy`` float32 [C, D_t], ``meta.json``.
What is stored in half the room is computed with in float32, which is exact. Rows are in the order
of the dataset's index; image i owns the captions ``caption_offsets[i]:caption_offsets[i + 1]``.

Imported features may be of one modality, and without class prompts: ``meta.json`` then says that
its width (``image_dim``, ``caption_dim``, ``prompt_dim``) is 0, and there is no such file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Vectors, first_nonfinite_row, load_array
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import IMPORTED, CaptionPolicy

IMAGE, CAPTION, OFFSETS, PROMPT = (
    "image.npy",
    "caption.npy",
    "caption_offsets.npy",
    "prompt.npy",
)
META = "meta.json"

# Keys of meta.json: the rows and the width of each array.
_SIZES = {
    IMAGE: ("images", "image_dim"),
    CAPTION: ("captions", "caption_dim"),
    PROMPT: ("classes", "prompt_dim"),
}

CHUNK = 4096
_DTYPES = (np.dtype(np.float32), np.dtype(np.float16))
_REMEDY = "run `dvc repro embed` again"


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The towers' pooled output, not normalised; memory-mapped.

    What imported features do not have has its rows, but no columns.

    Attributes:
        image: float32 or float16 [N, D_i].
        caption: float32 or float16 [M, D_t].
        caption_offsets: int64 [N + 1].
        prompt: float32 [C, D_t], one per class.
        meta: Origin of the embeddings.
    """

    image: npt.NDArray[np.floating]
    caption: npt.NDArray[np.floating]
    caption_offsets: npt.NDArray[np.int64]
    prompt: Vectors
    meta: dict[str, Any]

    def captions_by_policy(self, policy: CaptionPolicy) -> Vectors:
        """One caption embedding per image for evaluation, float32 [N, D_t]; never a random draw.

        Args:
            policy: ``first`` takes the image's first caption, ``mean`` the mean of all of them.
        """
        offsets = self.caption_offsets
        if policy == "first":
            return self.caption[offsets[:-1]].astype(np.float32, copy=False)
        means = np.empty((len(self.image), self.caption.shape[1]), dtype=np.float32)
        # In chunks: the sums of all captions of COCO at once would take 4 GB in float64.
        for start in range(0, len(means), CHUNK):
            bounds = offsets[start : start + CHUNK + 1]
            captions = self.caption[bounds[0] : bounds[-1]]
            sums = np.add.reduceat(captions, bounds[:-1] - bounds[0], axis=0, dtype=np.float64)
            means[start : start + CHUNK] = sums / np.diff(bounds)[:, None]
        return means

    def check_finite(self) -> None:
        """Read everything once, in chunks, and look for NaN and infinity.

        Raises:
            DataError: There is one; the message names the file and the first such row.
        """
        for name, array in ((IMAGE, self.image), (CAPTION, self.caption), (PROMPT, self.prompt)):
            for start in range(0, len(array), CHUNK):
                row = first_nonfinite_row(array[start : start + CHUNK])
                if row is not None:
                    raise DataError(f"{name}: row {start + row} holds NaN or infinity", _REMEDY)


def load_embeddings(folder: Path) -> Embeddings:
    """Map the embeddings that the ``embed`` stage wrote.

    Only the shapes are checked; :meth:`Embeddings.check_finite` reads the values.

    Raises:
        DataError: A file is missing or damaged, or the arrays do not belong together.
    """
    meta = read_json(folder / META)
    if not isinstance(meta, dict):
        raise DataError(f"{folder / META}: not a JSON object", _REMEDY)
    image, caption, prompt = (_load(folder / name, meta) for name in (IMAGE, CAPTION, PROMPT))
    offsets = load_array(folder / OFFSETS)
    for name, array in ((IMAGE, image), (CAPTION, caption), (PROMPT, prompt)):
        if array.ndim != 2 or array.dtype not in _DTYPES:
            raise DataError(
                f"{folder / name}: {array.dtype} {list(array.shape)}, expected a matrix of float32 "
                "or float16",
                _REMEDY,
            )
    if offsets.dtype != np.int64:
        raise DataError(f"{folder / OFFSETS}: {offsets.dtype}, expected int64", _REMEDY)
    if offsets.shape != (len(image) + 1,) or offsets[0] != 0 or offsets[-1] != len(caption):
        raise DataError(
            f"{folder}: {len(image)} images and {len(caption)} captions do not fit "
            f"{len(offsets)} offsets",
            _REMEDY,
        )
    if (np.diff(offsets) < 1).any():
        raise DataError(f"{folder / OFFSETS}: an image has no caption", _REMEDY)
    imported = meta.get("checkpoint") == IMPORTED
    if prompt.shape[1] != caption.shape[1] and not imported:
        raise DataError(
            f"{folder}: captions have {caption.shape[1]} dimensions, prompts {prompt.shape[1]}",
            _REMEDY,
        )
    return Embeddings(image, caption, offsets, prompt.astype(np.float32, copy=False), meta)


def _load(path: Path, meta: dict[str, Any]) -> npt.NDArray[Any]:
    rows, width = (meta.get(key) for key in _SIZES[path.name])
    if width == 0 and type(rows) is int and rows >= 0:
        return np.empty((rows, 0), dtype=np.float32)
    return load_array(path, memory_map=True)
