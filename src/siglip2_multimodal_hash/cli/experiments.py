"""``smhash experiments``."""

import argparse

from siglip2_multimodal_hash.cli.commands import (
    TEXT,
    Commands,
    add_format,
    default_format,
    new_command,
    show,
)
from siglip2_multimodal_hash.document import terminal_width
from siglip2_multimodal_hash.reporting.tables import HEADLINE

UNLIMITED = 1_000_000


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "experiments", experiments)
    parser.add_argument(
        "--sort",
        choices=HEADLINE,
        metavar="FIGURE",
        help=f"sort by one of {', '.join(HEADLINE)}, highest first (default: newest first)",
    )
    add_format(parser)


def experiments(arguments: argparse.Namespace) -> None:
    """List the tracked experiments: figures, time, whether stale, changed parameters."""
    # Other commands need not wait for what this one loads.
    from siglip2_multimodal_hash.experiments.overview import overview
    from siglip2_multimodal_hash.experiments.repository import Repository

    form = arguments.format or default_format()
    width = terminal_width() if form == TEXT else UNLIMITED
    show(overview(Repository(), arguments.sort, width), form)
