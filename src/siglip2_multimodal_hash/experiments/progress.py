"""Commands of experiments, and lines about their progress and their failures."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.experiments.plan import Planned
from siglip2_multimodal_hash.experiments.repository import TARGET
from siglip2_multimodal_hash.progress import duration

_LAST = 3
# Words that the grammar of `-S` takes as they are, and that are no number, bool or null there.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = {"true", "false", "null", "nan", "inf"}


def run_command(planned: Planned) -> list[str]:
    """The command of an experiment, for a clone of the repository."""
    changes = [f"-S{assignment(key, value)}" for key, value in planned.overrides.items()]
    return [sys.executable, "-m", "dvc", "exp", "run", "-n", planned.name, *changes, TARGET]


def assignment(key: str, value: Any) -> str:
    """An override in the grammar of ``dvc exp run -S``."""
    return f"{key}={_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_value, value)) + "]"
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
            return value
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return json.dumps(value)


def why_failed(log: Path) -> str:
    """The last words of a log, and its path."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.startswith(("error:", "->"))] or said
    return f"{' | '.join(errors[-_LAST:]) or 'no output'} ({os.path.relpath(log)})"


class Progress:
    """One line when an experiment begins, one when it ends.

    Args:
        total: Number of experiments to run.
        at_once: Number that run at a time.
        write: Receiver of the lines.
    """

    def __init__(
        self,
        total: int,
        at_once: int = 1,
        write: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        self._total, self._at_once, self._write = total, at_once, write
        self._begun = self._done = 0
        self._seconds = 0.0

    def begin(self, name: str) -> None:
        """Say that an experiment runs."""
        self._begun += 1
        self._write(f"[{self._begun}/{self._total}] {name} ...")

    def end(self, name: str, outcome: str, seconds: float) -> None:
        """Say how it ended, and about when the rest will be done."""
        self._done += 1
        self._seconds += seconds
        rest = self._total - self._done
        line = f"[{self._done}/{self._total}] {name}: {outcome} after {duration(seconds)}"
        if rest:
            # Not by the time that passed: when the first of several ends, the others nearly do.
            left = self._seconds / self._done * rest / min(self._at_once, rest)
            line += f"; about {duration(left)} left"
        self._write(line)
