"""The losses of many steps, averaged, and watched for divergence."""

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.training.settings import FitSettings

logger = logging.getLogger(__name__)

Losses = dict[str, float]

# The loss scale starts at 2^16 and is halved each time: from there on it is not to blame.
MAX_SKIPPED = 20


class _Bad(NamedTuple):
    """An update whose loss or gradient is NaN or infinite."""

    update: int  # within the trace, from 0
    place: str
    what: str  # with the terms of the loss that are to blame
    in_loss: bool


class LossTrace:
    """The losses of the steps of one pass, kept on the device.

    Reading a number from a CUDA device waits for all its work, so it is done only now and then.
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._rows: list[Tensor] = []
        self._sizes: list[int] = []
        self._places: list[str] = []
        self._ends: list[int] = []  # rows up to the end of each update
        self._norms: list[Tensor] = []  # of each update's gradient
        self._checked = 0  # updates that were looked at
        self._bad: list[_Bad] = []  # of these

    def add(self, parts: Mapping[str, Tensor], samples: int, place: str) -> None:
        """Note the parts of one step.

        Args:
            parts: Scalars, the same names at every step.
            samples: Their weight in the means.
            place: Epoch and update, for the message if a part is not finite.
        """
        self._names = tuple(parts)
        self._rows.append(torch.stack([part.detach() for part in parts.values()]))
        self._sizes.append(samples)
        self._places.append(place)

    def close_update(self, gradient_norm: Tensor) -> None:
        """Say that the steps since the last call make one update, of this gradient."""
        self._ends.append(len(self._rows))
        self._norms.append(gradient_norm.detach())

    def means(self, start: int = 0) -> Losses:
        """Mean of each part over the samples of the steps from ``start`` on.

        Steps that are not finite, which a loss scale has skipped, do not count; empty where there
        is no other.
        """
        values = torch.stack(self._rows[start:]).cpu().numpy().astype(np.float64)
        sizes = np.array(self._sizes[start:])
        finite = np.isfinite(values).all(axis=1)
        if not finite.any():
            return {}
        means = np.average(values[finite], axis=0, weights=sizes[finite])
        return dict(zip(self._names, means.tolist(), strict=True))

    def require_finite(self, settings: FitSettings) -> None:
        """Refuse a NaN or infinite loss.

        Raises:
            InputError: There is one; the message names the first step that has it, and the terms.
        """
        finite = torch.stack(self._rows).isfinite().cpu()
        bad = (~finite).any(dim=1).nonzero()
        if len(bad):
            row = int(bad[0])
            what = f"the loss is NaN or infinite{self._terms(finite[row])}"
            raise self._diverged(f"{self._places[row]}: {what}", settings)

    def check(
        self, settings: FitSettings, scaler: torch.amp.GradScaler, *, whole: bool = False
    ) -> None:
        """Refuse updates whose loss or gradient is NaN or infinite, or say which were skipped.

        A loss scale (float16; Micikevicius et al., ICLR 2018) skips them, which leaves the weights
        as they were: overflow is how it finds out how large it may be. Anything else has ruined the
        weights.

        Args:
            settings: For the message.
            scaler: That of the fit.
            whole: Whether the trace is complete: then a step of it must be finite.

        Raises:
            InputError: There is no loss scale; or it skipped :data:`MAX_SKIPPED` updates in a row,
                or all of a whole trace.
        """
        found = self._new_bad_updates()
        self._bad += found
        self._checked = len(self._ends)
        if found and not scaler.is_enabled():
            raise self._diverged(f"{found[0].place}: {found[0].what}", settings)
        for one in found:
            logger.log(
                logging.WARNING if one.in_loss else logging.INFO,
                "%s: %s; the update is skipped, the loss scale is now %g",
                one.place,
                one.what,
                scaler.get_scale(),
            )
        last = self._bad[-MAX_SKIPPED:]
        in_a_row = len(last) == MAX_SKIPPED and last[-1].update - last[0].update == MAX_SKIPPED - 1
        if in_a_row or (whole and len(self._bad) == len(self._ends)):
            raise self._diverged(
                f"{last[0].place}: {last[0].what}, and so on in {len(last)} updates in a row",
                settings,
            )

    def _new_bad_updates(self) -> list[_Bad]:
        bad: list[_Bad] = []
        if self._checked == len(self._ends):
            return bad
        start = self._ends[self._checked - 1] if self._checked else 0
        rows = torch.stack(self._rows[start:]).isfinite().cpu()
        norms = torch.stack(self._norms[self._checked :]).isfinite().cpu()
        if rows.all() and norms.all():
            return bad
        first = start
        for update, good in enumerate(norms.tolist(), start=self._checked):
            end = self._ends[update]
            finite, place = rows[start - first : end - first].all(dim=0), self._places[start]
            if not finite.all():
                what = f"the loss is NaN or infinite{self._terms(finite)}"
                bad.append(_Bad(update, place, what, in_loss=True))
            elif not good:
                what = "the gradient is NaN or infinite"
                bad.append(_Bad(update, place, what, in_loss=False))
            start = end
        return bad

    def _terms(self, finite: Tensor) -> str:
        """Such as `` (bce)``: the terms to blame, of which the total is the sum."""
        bad = [name for name, good in zip(self._names, finite.tolist(), strict=True) if not good]
        terms = [name for name in bad if name != "total"] or bad
        return f" ({', '.join(terms)})"

    def _diverged(self, what: str, settings: FitSettings) -> InputError:
        name = settings.training.mixed_precision
        lowered = name != "off" and (name != "auto" or self._rows[0].is_cuda)
        remedy = f"lower {settings.lr_name} (now {settings.lr:g})"
        if lowered:
            remedy += f", or set training.mixed_precision (now {name}) to off"
        return InputError(f"{what}: the fit has diverged", remedy)

    def __len__(self) -> int:
        return len(self._rows)
