"""Progress of a fit: its updates, and lines in the log."""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from siglip2_multimodal_hash.progress import LINE_SECONDS, Phase, phase

logger = logging.getLogger(__name__)

_SHOWN = re.compile(r"^(train_)?total$|mAP$|f1_")


class FitProgress:
    """The progress of a fit, moved only where the losses are read anyway.

    Of the figures it shows the loss and those of :data:`.monitor.MONITORED`; the log has all.

    Args:
        shown: The fit's updates.
        name: Of an epoch.
        epochs: Number of epochs.
        updates: Number per epoch.
    """

    def __init__(self, shown: Phase, name: str, epochs: int, updates: int) -> None:
        self._shown, self._name, self._epochs, self._updates = shown, name, epochs, updates
        self._epoch = 0
        self._known: Mapping[str, float] = {}
        self._told = time.monotonic()

    @property
    def title(self) -> str:
        """Title of the epoch that is begun."""
        return f"{self._name} {self._epoch}/{self._epochs}"

    def begin(self, epoch: int, known: Mapping[str, float] | None = None) -> None:
        """Begin an epoch; ``known`` are figures of those before, which stay to be seen."""
        self._epoch, self._known = epoch, known or {}

    def report(self, done: int, figures: Mapping[str, float]) -> None:
        """Show the figures of an epoch after ``done`` updates.

        The log has them at the level DEBUG; with norms of single parameters (``gradient/NAME``),
        which are nowhere else, at INFO.
        """
        level = logging.INFO if any("/" in name for name in figures) else logging.DEBUG
        logger.log(level, "%s, update %d: %s", self.title, done, _format(figures))
        self._move(done, {**figures, **self._known})

    def finish(self, figures: Mapping[str, float]) -> None:
        """Show and log the epoch's own figures.

        Epochs of seconds would fill the log: below the level DEBUG it has one in ten seconds. The
        history has them all.
        """
        now = time.monotonic()
        due = now - self._told >= LINE_SECONDS
        self._told = now if due else self._told
        logger.log(logging.INFO if due else logging.DEBUG, "%s: %s", self.title, _format(figures))
        self._move(self._updates, figures)

    def _move(self, done: int, figures: Mapping[str, float]) -> None:
        short = {name: value for name, value in figures.items() if _SHOWN.search(name)}
        self._shown.note = f"{self.title}: {_format(short)}"
        self._shown.update((self._epoch - 1) * self._updates + done - self._shown.done)


@contextmanager
def fit_progress(
    epochs: int, updates: int, *, done: int = 0, name: str = "epoch"
) -> Iterator[FitProgress]:
    """Show a fit of ``epochs`` epochs of ``updates`` updates, ``done`` epochs of them done."""
    total = epochs * updates
    with phase("fit", total, "update", initial=done * updates) as shown:
        yield FitProgress(shown, name, epochs, updates)


def _format(figures: Mapping[str, float]) -> str:
    """Figures in one line."""
    return " ".join(f"{name}={value:.4g}" for name, value in figures.items())
