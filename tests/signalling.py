"""Send a test's child process a signal at a chosen moment."""

import importlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

INTERRUPTIBLE_COMMAND = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)

from siglip2_multimodal_hash.cli import main

main()
"""
"""`smhash`, for ``python -c``, that Ctrl-C reaches.

What started the tests may ignore it, as a shell does for what runs in the background.
"""


def arm(room: str, name: str, method: str, call: str, when: str) -> None:
    """Send this process a signal around a call.

    Args:
        room: Dotted name of a package.
        name: Of the signal.
        method: A ``module:function`` or ``module:Class.method`` of the room.
        call: Number of the call, counted from 1.
        when: ``before`` or ``after`` that call.
    """
    module, _, path = method.partition(":")
    owner = importlib.import_module(f"{room}.{module}")
    *classes, attribute = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    original = getattr(owner, attribute)
    calls: list[int] = []

    def armed(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        due = len(calls) == int(call)
        if due and when == "before":
            os.kill(os.getpid(), signal.Signals[name])
        result = original(*arguments, **named)
        if due and when == "after":
            os.kill(os.getpid(), signal.Signals[name])
        return result

    setattr(owner, attribute, armed)


def wait_for(mark: Path, process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    """Until a child process has written a file, at most five minutes."""
    deadline = time.monotonic() + 300
    while not mark.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)


def heed_ctrl_c() -> None:
    """A shell that started the tests in the background had them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
