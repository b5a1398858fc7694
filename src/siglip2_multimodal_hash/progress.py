"""Progress of long work: a bar on a terminal, elsewhere a line every ten seconds.

Work is counted where it is done, and nothing is shown until :func:`show` allows it::

    with phase("images", total=1000, unit="image") as images:
        for batch in batches:
            images.update(len(batch))

Phases nest. The innermost with a total is shown, after the titles and counts of those around it. A
thread draws, so that counting costs an addition, and the time goes on between two counts.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Never, TextIO, TypeVar

from siglip2_multimodal_hash.files import size_text

if TYPE_CHECKING:
    from tqdm import tqdm

Item = TypeVar("Item")

LINE_SECONDS = 10.0
"""Seconds between two lines where there is no terminal; shorter work writes none."""
BAR_SECONDS = 0.25
BYTES = "B"
"""The unit of files."""
_MINUTE = 60
_HOUR = 3600


class Phase:
    """A piece of work in progress.

    Attributes:
        title: Its name.
        total: Number of units; None where it is unknown.
        unit: Name of one.
        initial: Units done by an earlier run.
        note: Shown behind the figures.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        unit: str,
        initial: int,
        count: Callable[[], int] | None,
    ) -> None:
        self.title, self.total, self.unit, self.initial = title, total, unit, initial
        self.note = ""
        self._done, self._count = initial, count
        self._began = time.monotonic()

    @property
    def done(self) -> int:
        """Number of units done."""
        return self._done if self._count is None else self._count()

    @property
    def seconds(self) -> float:
        """Seconds since its beginning."""
        return time.monotonic() - self._began

    def update(self, units: int = 1) -> None:
        """Count more units as done."""
        self._done += units

    def line(self) -> str:
        """Share, rate and time left; the elapsed time where these are unknown."""
        here, seconds = self.done - self.initial, self.seconds
        if self.total is None or here <= 0:
            nothing_of = "" if self.total is None else f"{self._amounts()}, "
            return f"{nothing_of}{duration(seconds)} so far"
        rate = here / seconds
        speed = f"{1 / rate:,.1f} s/{self.unit}"
        if self.unit == BYTES:
            speed = f"{size_text(round(rate))}/s"
        elif rate > 1:
            speed = f"{rate:,.1f} {self.unit}s/s"
        left = duration(max(self.total - self.done, 0) / rate)
        share = 100 * self.done / max(self.total, 1)
        return f"{share:.0f} % ({self._amounts()}), {speed}, {left} left"

    def _amounts(self) -> str:
        assert self.total is not None
        shown = size_text if self.unit == BYTES else "{:,}".format
        return f"{shown(self.done)} of {shown(self.total)}"


@contextmanager
def phase(
    title: str,
    total: int | None = None,
    unit: str = "step",
    *,
    initial: int = 0,
    count: Callable[[], int] | None = None,
) -> Iterator[Phase]:
    """Show the block while it runs, if :func:`show` allows it.

    Args:
        title: Name of the work.
        total: Number of units; None shows the elapsed time alone.
        unit: Name of one, in the singular; or :data:`BYTES`.
        initial: Units done by an earlier run.
        count: Number of units done, where other processes do them; then :meth:`Phase.update` has no
            effect.
    """
    shown = Phase(title, total, unit, initial, count)
    display = _display
    if display is None:
        yield shown
        return
    display.open(shown)
    try:
        yield shown
    finally:
        display.close(shown)


def track(items: Collection[Item], title: str, unit: str = "step") -> Iterator[Item]:
    """The items, as a :func:`phase` of as many units."""
    with phase(title, len(items), unit) as shown:
        for item in items:
            yield item
            shown.update()


def show(
    enabled: bool = True, stream: TextIO | None = None, *, interval: float | None = None
) -> None:
    """Show the phases that begin from now on, or none.

    None are shown at first: a process that works for another must not write between its lines.

    Args:
        enabled: Whether to show them.
        stream: Receives them; None is stderr.
        interval: Seconds from one drawing to the next; None is :data:`BAR_SECONDS` on a terminal
            and :data:`LINE_SECONDS` elsewhere.
    """
    global _display  # noqa: PLW0603 - of the process, as its log is
    _display = Display(stream or sys.stderr, interval) if enabled else None


class Display:
    """The phases that are open, and the thread that draws them; see :func:`show`."""

    def __init__(self, stream: TextIO, interval: float | None = None) -> None:
        self._stream, self._terminal = stream, stream.isatty()
        self._interval = interval or (BAR_SECONDS if self._terminal else LINE_SECONDS)
        self._phases: list[Phase] = []
        self._lock = threading.RLock()
        self._bar: tqdm[Never] | None = None
        self._drawn: Phase | None = None  # what the bar is of
        self._stopped = threading.Event()

    def open(self, begun: Phase) -> None:
        """Show a phase from now on."""
        with self._lock:
            self._phases.append(begun)
            if len(self._phases) == 1:
                self._stopped = threading.Event()
                threading.Thread(
                    target=self._run, args=[self._stopped], name="progress", daemon=True
                ).start()

    def close(self, ended: Phase) -> None:
        """Stop showing a phase. On a terminal the bar stays if no other phase has a total."""
        with self._lock:
            if self._drawn is ended:
                counted = [one for one in self._phases if one.total is not None]
                self._erase(leave=counted == [ended])
            self._phases.remove(ended)
            if not self._phases:
                self._stopped.set()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while the block writes to the terminal."""
        with self._lock:
            if self._bar is not None:
                self._bar.clear()
            yield
            if self._bar is not None:
                self._bar.refresh()

    def _run(self, stopped: threading.Event) -> None:
        # Where the stream is closed, the work goes on unseen.
        with suppress(OSError, ValueError):
            while not stopped.wait(self._interval):
                with self._lock:
                    if not stopped.is_set():
                        self._say()

    def _say(self) -> None:
        if self._terminal:
            self._draw()
            return
        shown, title, note = self._shown()
        print(f"{title}: {shown.line()}{note and f', {note}'}", file=self._stream, flush=True)

    def _shown(self) -> tuple[Phase, str, str]:
        """The phase whose figures are shown, the title in front of them, the note behind them."""
        counted = [place for place, one in enumerate(self._phases) if one.total is not None]
        place = counted[-1] if counted else len(self._phases) - 1
        outer = (
            f"{self._phases[at].title} {self._phases[at].done}/{self._phases[at].total}"
            for at in counted[:-1]
            if self._phases[at].total != 1
        )
        shown, inner = self._phases[place], self._phases[place + 1 :]
        notes = (shown.note, *(one.title for one in inner))
        return shown, ", ".join((*outer, shown.title)), ", ".join(filter(None, notes))

    def _draw(self) -> None:
        shown, title, note = self._shown()
        if shown is not self._drawn:
            self._erase()
        if self._bar is None:
            from tqdm import tqdm

            self._drawn = shown
            self._bar = tqdm(
                total=shown.total,
                desc=title,
                unit=shown.unit,
                initial=shown.initial,
                file=self._stream,
                leave=False,
                delay=1e-6,  # or it would be drawn here, before its start is known
                dynamic_ncols=True,
                bar_format=None if shown.total is not None else "{desc}: {elapsed}{postfix}",
                unit_scale=shown.unit == BYTES,
                unit_divisor=1024,
            )
            self._bar.start_t -= shown.seconds
        self._bar.n = shown.done
        self._bar.set_description_str(title, refresh=False)
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.refresh()

    def _erase(self, *, leave: bool = False) -> None:
        if self._bar is not None and leave:
            self._draw()
            self._bar.leave = True
        if self._bar is not None:
            self._bar.close()
        self._bar = self._drawn = None


_display: Display | None = None


class LogHandler(logging.StreamHandler[TextIO]):
    """A log on stderr whose lines stand above the bar instead of in it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        if _display is None:
            super().emit(record)
            return
        with _display.aside():
            super().emit(record)


def duration(seconds: float) -> str:
    """A duration for people: ``42 s``, ``3 min`` or ``2 h 05 min``."""
    if seconds < 1.5 * _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    if seconds < _HOUR:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"
