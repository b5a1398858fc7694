"""Progress of a fit: one bar per epoch, and lines in the log."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Never

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from siglip2_multimodal_hash.params import LoggingParams

logger = logging.getLogger(__name__)


class EpochProgress:
    """The bar of one epoch, advanced only where the losses are read anyway.

    Args:
        params: The ``runtime.logging`` section.
        title: Stands in front of the bar and of each line.
        updates: Length of the epoch.
        known: Figures of the epochs before, which stay on the bar.
    """

    def __init__(
        self,
        params: LoggingParams,
        title: str,
        updates: int,
        known: Mapping[str, float] | None = None,
    ) -> None:
        self._title = title
        self._known = dict(known or {})
        self._bar: tqdm[Never] = tqdm(
            total=updates, desc=title, unit="update", disable=not params.progress
        )

    def report(self, done: int, figures: Mapping[str, float]) -> None:
        """Log the figures and move the bar to ``done`` updates.

        Norms of single parameters (``gradient/NAME``) go to the log alone.
        """
        logger.info("%s, update %d: %s", self._title, done, _format(figures))
        short = {name: value for name, value in figures.items() if "/" not in name}
        self._move(done, _format(short | self._known))

    def finish(self, done: int, figures: Mapping[str, float]) -> None:
        """Log the epoch's own figures and close the bar."""
        text = _format(figures)
        self._move(done, text)
        self.close()
        logger.info("%s: %s", self._title, text)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def _move(self, done: int, text: str) -> None:
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(done - self._bar.n)


@contextmanager
def tidy_logging(params: LoggingParams) -> Iterator[None]:
    """Write log lines above the bar instead of through it."""
    if not params.progress:
        yield
        return
    with logging_redirect_tqdm():
        yield


def _format(figures: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.4g}" for name, value in figures.items())
