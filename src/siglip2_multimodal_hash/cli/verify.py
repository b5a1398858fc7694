"""``smhash verify``."""

import argparse
import sys

from siglip2_multimodal_hash.cli.commands import Commands, new_command

EXIT_NOT_REPRODUCED = 1


def add_parser(commands: Commands) -> None:
    """Add the command."""
    new_command(commands, "verify", verify)


def verify(_: argparse.Namespace) -> None:
    """Compare the figures of this machine with the committed ones."""
    # Other commands need not wait for what this one loads.
    from siglip2_multimodal_hash.reporting.reproduction import (
        ALLOWED_POINTS,
        differences_from_commit,
    )

    differences = differences_from_commit()
    largest = differences[0]
    if largest.allowed:
        print(
            f"reproduced: {len(differences)} figures, largest difference {largest.points:.2f} "
            f"points ({largest.name}), allowed {ALLOWED_POINTS}"
        )
        return
    for one in differences:
        if not one.allowed:
            print(
                f"{one.name}: {100 * one.here:.1f} here, {100 * one.committed:.1f} committed, "
                f"{one.points:.1f} points apart"
            )
    print(f"not reproduced: allowed are {ALLOWED_POINTS} points")
    sys.exit(EXIT_NOT_REPRODUCED)
