"""The commands of DVC that run experiments, in processes that a signal stops whole."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from siglip2_multimodal_hash.ablations.pipeline import TARGET
from siglip2_multimodal_hash.ablations.plan import Wanted
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import require_free

# Words that the grammar of `-S` takes as they are, and that are no number, bool or null there.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = {"true", "false", "null", "nan", "inf"}
_DVC = (sys.executable, "-m", "dvc")
_PATIENCE = 30.0


def assignment(key: str, value: Any) -> str:
    """An override in the grammar of ``dvc exp run -S``."""
    return f"{key}={_value(value)}"


def assignments(wanted: Wanted) -> list[str]:
    """All overrides of an experiment."""
    return [assignment(key, value) for key, value in wanted.overrides.items()]


def run_command(wanted: Wanted) -> list[str]:
    """The command that runs one experiment, in a copy of the repository."""
    changes = [word for one in assignments(wanted) for word in ("-S", one)]
    return [*_DVC, "exp", "run", "--temp", "-n", wanted.name, *changes, TARGET]


def dvc(*words: str) -> list[str]:
    """Any other command of DVC."""
    return [*_DVC, *words]


def run_logged(command: Sequence[str], log: Path, folder: Path, keep: Sequence[int] = ()) -> int:
    """Run a command with its output in a file, and return its exit code.

    Ctrl-C reaches the command and all that it started; it is waited for, so that it can clean up.

    Args:
        command: Its words.
        log: The file, written anew.
        folder: Where to run it.
        keep: Open files that stay open in it, such as a lock.

    Raises:
        InputError: DVC is not installed, or the log's place holds something else than a file.
        KeyboardInterrupt: After the command has ended.
    """
    require_free(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        process = _start(command, stream, folder, keep)
        try:
            return process.wait()
        except BaseException:
            _stop(process)
            raise


def _start(
    command: Sequence[str], stream: IO[str], folder: Path, keep: Sequence[int]
) -> subprocess.Popen[str]:
    # Where this Python has its tools: `python` of a stage must be the same.
    tools = str(Path(sys.executable).parent)
    path = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        # A group of its own: while a stage runs, DVC leaves the interrupt to the stage.
        return subprocess.Popen(
            command, cwd=folder, env=os.environ | {"PATH": path}, text=True,
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
            start_new_session=True, pass_fds=keep,
        )  # fmt: skip
    except FileNotFoundError:
        raise InputError(f"{command[0]}: not found", "install the project's packages") from None


def _stop(process: subprocess.Popen[str]) -> None:
    """Interrupt the whole group, and kill it where that does not help."""
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sent)
            process.wait(_PATIENCE)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
        break


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_value, value)) + "]"
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
            return value
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return json.dumps(value)
