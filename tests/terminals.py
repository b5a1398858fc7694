"""A terminal, and a log without one, for what is drawn by another thread."""

import io
import time


class Log(io.StringIO):
    """A stream that is waited for."""

    def wait_for(self, *texts: str, seconds: float = 10.0) -> str:
        """What has been written when all of the texts are in it."""
        until = time.monotonic() + seconds
        while not all(text in self.getvalue() for text in texts):
            assert time.monotonic() < until, f"{texts} not in {self.getvalue()!r}"
            time.sleep(0.005)
        return self.getvalue()


class Terminal(Log):
    """One that says that it is a terminal."""

    def isatty(self) -> bool:
        return True
