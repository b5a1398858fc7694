"""Setup of every stage: read its paths and parameters, set up the log, watch over the memory."""

import argparse
import faulthandler
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.memory.watch import MemoryWatch
from siglip2_multimodal_hash.params import Params, load_params
from siglip2_multimodal_hash.progress import LogHandler, phase, show

# Names of stages that write nothing to be missed.
CHECKS = "check_"


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
        try:
            params = load_params()
            set_up(params)
            stage = Path(sys.argv[0]).stem
            with MemoryWatch(params.runtime.memory, stage), phase(stage):
                main(params, **arguments)
        except InputError as error:
            raise InputError(str(error), "\n  -> ".join(_left_by_dvc())) from None

    run_guarded(guarded)


def set_up(params: Params) -> None:
    """Set up the log, and hide the cards from libraries where ``runtime.device`` is the CPU.

    PyTorch is told where to compute; FAISS takes any card that it sees. Must run before either
    looks for one.
    """
    set_up_log(params)
    if params.runtime.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _left_by_dvc() -> list[str]:
    """Remedies for what DVC did to the workspace before the stage that is now refused.

    To a copy of the repository it may do what it likes.
    """
    stage = os.environ.get("DVC_STAGE", "").rpartition(":")[2]
    root = os.environ.get("DVC_ROOT", "")
    if not stage or Path(root).resolve() != Path.cwd():
        return []
    remedies = []
    if "DVC_EXP_NAME" in os.environ:
        remedies.append(
            "what -S set stays in params.yaml: run again with another -S for the same key, or set "
            "it back by hand (`dvc params diff` shows it)"
        )
    lock = Path("dvc.lock")
    recorded = lock.exists() and f"\n  {stage}:\n" in lock.read_text(encoding="utf-8")
    if recorded and not stage.startswith(CHECKS):
        remedies.append(
            f"DVC has removed the outputs of {stage}: `dvc checkout {stage}` brings them back"
        )
    return remedies


def set_up_log(params: Params) -> None:
    """Log to stderr, bare messages: DVC shows them under the stage's name. Show the progress."""
    logs = params.runtime.logging
    logging.basicConfig(level=logs.level, format="%(message)s", handlers=[LogHandler()])
    show(logs.progress)
    for noisy in ("PIL", "matplotlib", "urllib3", "httpx2", "httpcore2", "filelock", "faiss"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
