"""``smhash verify``."""

import argparse
import sys

from siglip2_multimodal_hash.cli.commands import Commands, add_format, new_command, show
from siglip2_multimodal_hash.document import Part, Table
from siglip2_multimodal_hash.params import load_params

EXIT_NOT_REPRODUCED = 1


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(
        commands,
        "verify",
        verify,
        f"{EXIT_NOT_REPRODUCED} if a figure differs by more than allowed",
    )
    add_format(parser)


def verify(arguments: argparse.Namespace) -> None:
    """Compare the figures of this machine with the committed ones."""
    # Other commands need not wait for what this one loads.
    from siglip2_multimodal_hash.experiments.provenance import workspace_footer
    from siglip2_multimodal_hash.reporting.reproduction import (
        ALLOWED_POINTS,
        differences_from_commit,
    )

    differences = differences_from_commit()
    largest = differences[0]
    parts: list[Part] = []
    if largest.allowed:
        parts.append(
            f"reproduced: {len(differences)} figures, largest difference {largest.points:.2f} "
            f"points ({largest.name}), allowed {ALLOWED_POINTS}"
        )
    else:
        rows = [
            (
                one.name,
                f"{100 * one.here:.1f}",
                f"{100 * one.committed:.1f}",
                f"{one.points:.1f}",
            )
            for one in differences
            if not one.allowed
        ]
        parts.append(Table(("figure, percent", "here", "committed", "points apart"), rows))
        parts.append(f"not reproduced: allowed are {ALLOWED_POINTS} points")
    show([*parts, workspace_footer(load_params())], arguments.format)
    if not largest.allowed:
        sys.exit(EXIT_NOT_REPRODUCED)
