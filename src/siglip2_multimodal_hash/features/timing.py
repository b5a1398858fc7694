"""Time spent in each part of a pipeline; for the log only, never for an output."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds spent in each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Add the block's time to ``part``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began

    def report(self, count: int, unit: str) -> str:
        """Items per second, seconds per part, and the part that is the bottleneck."""
        total = sum(self.seconds.values())
        rate = count / total if total > 0 else 0.0
        parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in self.seconds.items())
        bottleneck = max(self.seconds, key=lambda part: self.seconds[part], default="none")
        return (
            f"{count:,} {unit} in {total:.1f} s, {rate:,.0f} {unit}/s (waited for {parts}; "
            f"bottleneck: {bottleneck})"
        )
