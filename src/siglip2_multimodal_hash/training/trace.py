"""The losses of many steps, averaged, and watched for divergence."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.training.settings import FitSettings

Losses = dict[str, float]


class LossTrace:
    """The losses of the steps of one pass, kept on the device.

    Reading a number from a CUDA device waits for all its work, so it is done only now and then.
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._rows: list[Tensor] = []
        self._sizes: list[int] = []
        self._places: list[str] = []

    def add(self, parts: Mapping[str, Tensor], samples: int, place: str) -> None:
        """Note the parts of one step.

        Args:
            parts: Scalars, the same names at every step.
            samples: Their weight in the means.
            place: Where this was, for the message if a part is not finite.
        """
        self._names = tuple(parts)
        self._rows.append(torch.stack([part.detach() for part in parts.values()]))
        self._sizes.append(samples)
        self._places.append(place)

    def means(self, start: int = 0) -> Losses:
        """Mean of each part over the samples of the steps from ``start`` on."""
        values = torch.stack(self._rows[start:]).cpu().numpy().astype(np.float64)
        means = np.average(values, axis=0, weights=self._sizes[start:])
        return dict(zip(self._names, means.tolist(), strict=True))

    def require_finite(self, settings: FitSettings) -> None:
        """Refuse a NaN or infinite loss.

        Raises:
            InputError: There is one; the message names the first step that has it.
        """
        bad = (~torch.stack(self._rows).isfinite()).any(dim=1).nonzero()
        if not len(bad):
            return
        name = settings.training.mixed_precision
        lowered = name != "off" and (name != "auto" or self._rows[0].is_cuda)
        remedy = f"lower optimizer.lr (now {settings.optimizer.lr:g})"
        if lowered:
            remedy += f", or set training.mixed_precision (now {name}) to off"
        raise InputError(
            f"{self._places[int(bad[0])]}: the loss is NaN or infinite: the fit has diverged",
            remedy,
        )

    def __len__(self) -> int:
        return len(self._rows)
