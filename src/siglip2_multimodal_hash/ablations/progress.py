"""Lines that say what runs, what came of it, and how much time is left."""

from collections.abc import Callable

_MINUTE = 60
_HOUR = 3600


class Progress:
    """One line when an experiment begins, one when it ends.

    Args:
        total: How many experiments are to run.
        at_once: How many of them run at a time.
        write: Where lines go.
    """

    def __init__(
        self,
        total: int,
        at_once: int = 1,
        write: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        self._total, self._at_once, self._write = total, at_once, write
        self._done = 0
        self._seconds = 0.0

    def begin(self, name: str) -> None:
        """Say that an experiment runs."""
        self._write(f"[{self._done + 1}/{self._total}] {name} ...")

    def end(self, name: str, outcome: str, seconds: float) -> None:
        """Say what came of it, and about when the rest will be done."""
        self._done += 1
        self._seconds += seconds
        rest = self._total - self._done
        line = f"[{self._done}/{self._total}] {name}: {outcome} after {duration(seconds)}"
        if rest:
            # Not by the time that passed: when the first of several ends, the others nearly do.
            left = self._seconds / self._done * rest / min(self._at_once, rest)
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
