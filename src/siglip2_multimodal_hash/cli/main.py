"""The command line: each command's module adds its own parser."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
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
from siglip2_multimodal_hash.cli.commands import Parser
from siglip2_multimodal_hash.errors import run_guarded
from siglip2_multimodal_hash.progress import show

_EXITS = """\
exit codes:
  0    done
  1    negative result: doctor: a check fails; verify: figures are not reproduced; ablate: an
       experiment failed, or stale ones remain
  2    bad input: an option, a parameter, a file; the message says what to do
  130  interrupted by Ctrl-C (ablate: or SIGTERM); finished work is kept
  141  the reader of a pipe, such as `| head`, has closed it

Output is aligned text on a terminal (NO_COLOR is honoured, COLUMNS sets the width), Markdown
elsewhere; --format overrides this.
"""

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
    parser = Parser(
        prog="smhash",
        description="Commands around the pipeline: set up, check, run experiments, read results, "
        "tag photos.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="show versions, and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    arguments = parser.parse_args()
    run_guarded(lambda: _run(arguments))


class _Version(argparse.Action):
    """Print the versions, which only this option reads."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print them, and exit."""
        from siglip2_multimodal_hash.experiments.provenance import PACKAGE, installed, versions

        print(f"smhash {installed(PACKAGE) or 'not installed'} ({versions()})")
        parser.exit()


def _run(arguments: argparse.Namespace) -> None:
    show()
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `| head`, has enough. What is left must not be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)
