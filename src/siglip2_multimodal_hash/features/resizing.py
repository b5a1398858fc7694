"""The checkpoint's image processor in fewer steps, where that gives exactly the same numbers.

What a processor of fixed resolution does to a pixel after the resize depends on nothing but its
value and its channel: 256 numbers per channel. The processor itself is asked for them; then an
image is one resize by Pillow and one look-up, without the processor's passes over float64 arrays
and copies between Pillow and NumPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

_LEVELS = 256


@dataclass(frozen=True, eq=False)
class LookUp:
    """B RGB images to ``pixel_values``.

    Attributes:
        size: Width and height.
        resample: Pillow's number of the filter.
        levels: float32 [3, 256]: what each value of each channel becomes.
    """

    size: tuple[int, int]
    resample: Image.Resampling
    levels: npt.NDArray[np.float32]

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        """float32 [B, 3, height, width]."""
        width, height = self.size
        values = np.empty((len(images), 3, height, width), dtype=np.float32)
        for image, planes in zip(images, values, strict=True):
            resized = np.asarray(image.resize(self.size, self.resample))
            for channel in range(3):
                # `clip` only spares the check: a byte is no index beyond 255.
                np.take(
                    self.levels[channel], resized[..., channel], out=planes[channel], mode="clip"
                )
        return torch.from_numpy(values)

    @classmethod
    def like(cls, processor: Any) -> Self | None:
        """The same as a processor of ``AutoImageProcessor``; None where it does anything more.

        That it is the same is not read out of the processor's settings but tried, on noise of
        another size and shape: every number must be equal.
        """
        size, resample = getattr(processor, "size", None), getattr(processor, "resample", None)
        width, height = getattr(size, "width", None), getattr(size, "height", None)
        if not width or not height or width * height < _LEVELS or resample is None:
            return None
        ramp = np.resize(np.arange(_LEVELS, dtype=np.uint8), (height, width))
        answer = _ask(processor, Image.fromarray(np.repeat(ramp[..., None], 3, axis=2)))
        if answer is None or answer.shape != (3, height, width):
            return None
        levels = answer.reshape(3, -1)[:, :_LEVELS].copy()
        found = cls((width, height), Image.Resampling(resample), levels)
        generator = np.random.default_rng(0)
        for shape in ((height + 37, 2 * width + 11, 3), (height, width, 3), (height // 2, 9, 3)):
            probe = Image.fromarray(generator.integers(0, _LEVELS, shape, dtype=np.uint8))
            expected = _ask(processor, probe)
            if expected is None or not np.array_equal(found([probe])[0].numpy(), expected):
                return None
        return found


def _ask(processor: Any, image: Image.Image) -> npt.NDArray[np.float32] | None:
    """Run the processor on one image; None unless it returns ``pixel_values`` and nothing else."""
    answer = dict(processor(images=[image], return_tensors="np"))
    if answer.keys() != {"pixel_values"}:
        return None
    values: npt.NDArray[np.float32] = np.asarray(answer["pixel_values"][0])
    return values if values.dtype == np.float32 else None
