"""Lines that say what runs, what came of it, and how much time is left."""

import time
from collections.abc import Callable

_MINUTE = 60
_HOUR = 3600


class Progress:
    """One line when an experiment begins, one when it ends.

    Args:
        total: How many experiments are to run.
        write: Where lines go.
        clock: Seconds that pass.
    """

    def __init__(
        self,
        total: int,
        write: Callable[[str], None] = lambda line: print(line, flush=True),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._write, self._clock = total, write, clock
        self._begun = clock()
        self._done = 0

    def begin(self, name: str) -> None:
        """Say that an experiment runs."""
        self._write(f"[{self._done + 1}/{self._total}] {name} ...")

    def end(self, name: str, outcome: str, seconds: float) -> None:
        """Say what came of it, and about when the rest will be done."""
        self._done += 1
        rest = self._total - self._done
        line = f"[{self._done}/{self._total}] {name}: {outcome} after {duration(seconds)}"
        if rest:
            # Those at once share the time: so count what passed, not what each took.
            left = (self._clock() - self._begun) / self._done * rest
            line += f"; about {duration(left)} left"
        self._write(line)


def duration(seconds: float) -> str:
    """Such as ``42 s``, ``3 min`` or ``2 h 05 min``."""
    if seconds < 1.5 * _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    if seconds < _HOUR:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"
