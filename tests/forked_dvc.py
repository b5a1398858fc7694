"""DVC in a fork of a process that has imported it, which takes most of the time of a command."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

IMPORTED = [
    "dvc.cli.parser",
    "dvc.repo.experiments.executor.local",
    "dvc.repo.experiments.queue.celery",
    "dvc.repo.experiments.queue.tempdir",
    "dvc.repo.fetch",
    "dvc.repo.plots",
    "dvc.repo.stage",
    "dvc.utils.strictyaml",
    "dulwich.porcelain",
    "hydra.core.override_parser.overrides_parser",
    "networkx.algorithms",
    "pygit2",
]
STREAMS = ("stdout", "stderr")


def run_dvc(
    folder: Path, command: Sequence[str], environment: Mapping[str, str], streams: str
) -> None:
    """Become ``dvc ...``, with its output in two files of the folder ``streams``."""
    for number, name in enumerate(STREAMS, 1):
        with Path(streams, name).open("wb") as stream:
            os.dup2(stream.fileno(), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(command)
    from dvc.cli import main

    sys.exit(main(sys.argv[1:]))
