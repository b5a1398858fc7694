"""Helpers shared by the command modules."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

# In quotes, because argparse's class takes no parameter at run time.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def new_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    """Add a command that calls ``run`` with its options; ``run``'s docstring is its help."""
    parser = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
    parser.set_defaults(run=run)
    return parser


def path_argument(text: str) -> Path:
    """The type of an argument that is a path; an empty one would mean the working folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name")
    return Path(text)


def print_json(value: Any) -> None:
    """Print a value as JSON in ASCII, which any encoding of the output can hold.

    Raises:
        ValueError: It holds NaN or infinity, which JSON cannot express.
    """
    print(json.dumps(value, indent=2, allow_nan=False))
