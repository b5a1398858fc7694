"""A process that fits a small head and is killed, or interrupted, at a chosen moment.

``python -m tests.training.fit_child OUT [SIGNAL METHOD CALL WHEN]``: the signal comes ``before`` or
``after`` the CALL-th call of METHOD, a ``module:name`` or ``module:Class.name`` of the room.
"""

import importlib
import os
import signal
import sys
from pathlib import Path

from siglip2_multimodal_hash.kernels import pin_cpu_kernels

pin_cpu_kernels()

ROOM = "siglip2_multimodal_hash.training"


def arm(name, method, call, when):
    """Send this process a signal around a call."""
    module, _, path = method.partition(":")
    owner = importlib.import_module(f"{ROOM}.{module}")
    *classes, attribute = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    original, calls = getattr(owner, attribute), []

    def armed(*arguments, **named):
        calls.append(1)
        due = len(calls) == int(call)
        if due and when == "before":
            os.kill(os.getpid(), signal.Signals[name])
        result = original(*arguments, **named)
        if due and when == "after":
            os.kill(os.getpid(), signal.Signals[name])
        return result

    setattr(owner, attribute, armed)


def main():
    import torch

    from siglip2_multimodal_hash.entry import set_up_log
    from tests.training.resumable import resumable_fit
    from tests.training.small_fits import small_params

    # A shell that started the tests in the background had them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    if sys.argv[2:]:
        arm(*sys.argv[2:])
    set_up_log(small_params())
    resumable_fit(Path(sys.argv[1]))


if __name__ == "__main__":
    from siglip2_multimodal_hash.errors import run_guarded

    run_guarded(main)
