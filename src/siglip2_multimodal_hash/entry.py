"""What every stage does before its work: read its paths and parameters, set up the log."""

import argparse
import faulthandler
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from siglip2_multimodal_hash.errors import run_guarded
from siglip2_multimodal_hash.params import Params, load_params


def run_stage(main: Callable[..., None], *paths: str) -> NoReturn:
    """Call ``main(params, name=path, ...)`` with the paths that dvc.yaml passes, then exit.

    Args:
        main: The stage.
        paths: Names of its paths; each is a required option ``--name PATH``.
    """
    # A library that dies by a signal leaves no other word of where.
    if not faulthandler.is_enabled():
        faulthandler.enable()
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name in paths:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="PATH")
    arguments = vars(parser.parse_args())

    def guarded() -> None:
        params = load_params()
        set_up(params)
        main(params, **arguments)

    run_guarded(guarded)


def set_up(params: Params) -> None:
    """Set up the log, and hide the cards from libraries where ``runtime.device`` is the CPU.

    PyTorch is told where to compute; FAISS takes any card that it sees. Must run before either
    looks for one.
    """
    set_up_log(params)
    if params.runtime.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def set_up_log(params: Params) -> None:
    """Log to stderr, bare messages: DVC shows them under the stage's name."""
    logging.basicConfig(level=params.runtime.logging.level, format="%(message)s")
    for noisy in ("PIL", "matplotlib", "urllib3", "httpx2", "httpcore2", "filelock", "faiss"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
