"""What every stage does before its work: read its paths and parameters, set up the log."""

import argparse
import faulthandler
import logging
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
    faulthandler.enable()
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name in paths:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="PATH")
    arguments = vars(parser.parse_args())

    def guarded() -> None:
        params = load_params()
        set_up_log(params)
        main(params, **arguments)

    run_guarded(guarded)


def set_up_log(params: Params) -> None:
    """Log to stderr, bare messages: DVC shows them under the stage's name."""
    logging.basicConfig(level=params.runtime.logging.level, format="%(message)s")
    for noisy in ("PIL", "matplotlib", "urllib3", "httpx2", "httpcore2", "filelock", "faiss"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
