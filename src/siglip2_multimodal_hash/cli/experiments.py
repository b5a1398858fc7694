"""``smhash experiments``."""

import argparse
import shutil

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.reporting.tables import HEADLINE

WIDTH = 100
"""Characters of a line where there is no terminal."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "experiments", experiments)
    parser.add_argument(
        "--sort",
        choices=HEADLINE,
        metavar="FIGURE",
        help=f"highest first, by one of {', '.join(HEADLINE)} (default: newest first)",
    )


def experiments(arguments: argparse.Namespace) -> None:
    """List the tracked experiments: figures, time, whether stale, changed parameters."""
    # Other commands need not wait for what this one loads.
    from siglip2_multimodal_hash.experiments.overview import overview
    from siglip2_multimodal_hash.experiments.repository import Repository

    width = shutil.get_terminal_size((WIDTH, 0)).columns
    print(overview(Repository(), arguments.sort, width), end="")
