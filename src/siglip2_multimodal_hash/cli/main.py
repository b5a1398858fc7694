"""The command line: each command's module adds its own parser."""

import argparse
import io
import os
import sys
from typing import NoReturn

from siglip2_multimodal_hash.cli import (
    ablate,
    check,
    compare,
    doctor,
    download,
    errors,
    experiments,
    import_features,
    monitor,
    predict,
    stats,
    summary,
    table,
    use,
    verify,
)
from siglip2_multimodal_hash.errors import run_guarded
from siglip2_multimodal_hash.progress import show

EXIT_BROKEN_PIPE = 128 + 13
"""Exit code that a shell gives a process ended by SIGPIPE."""

_COMMANDS = (
    use, check, doctor, download, import_features, monitor, stats, table, compare, errors, predict,
    ablate, experiments, summary, verify,
)  # fmt: skip


def main() -> NoReturn:
    """Parse the command line and run one command."""
    # File names need not be UTF-8, and a terminal need not be: what it cannot show is escaped.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="smhash",
        description="Commands around the pipeline: set up, check, run experiments, read results, "
        "tag photos.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    arguments = parser.parse_args()
    run_guarded(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    show()
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `| head`, has enough. What is left must not be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)
