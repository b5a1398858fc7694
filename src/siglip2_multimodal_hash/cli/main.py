"""The command line: each command's module adds its own parser."""

import argparse
from typing import NoReturn

from siglip2_multimodal_hash.cli import (
    ablate,
    check,
    compare,
    doctor,
    download,
    errors,
    import_features,
    predict,
    stats,
    table,
    use,
)
from siglip2_multimodal_hash.errors import run_guarded

_COMMANDS = (
    use, check, doctor, download, import_features, stats, table, compare, errors, predict, ablate
)  # fmt: skip


def main() -> NoReturn:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(
        prog="smhash", description="What is not a stage of the pipeline."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    arguments = parser.parse_args()
    run_guarded(lambda: arguments.run(arguments))
