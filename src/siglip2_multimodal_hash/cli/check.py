"""``smhash check``."""

import argparse
from typing import TYPE_CHECKING

from siglip2_multimodal_hash.cli.commands import new_command
from siglip2_multimodal_hash.params import PARAMS_FILE, load_params

if TYPE_CHECKING:
    from siglip2_multimodal_hash.cli.commands import Commands


def add_parser(commands: "Commands") -> None:
    """Add the command."""
    new_command(commands, "check", check)


def check(_: argparse.Namespace) -> None:
    """Check params.yaml."""
    load_params()
    print(f"{PARAMS_FILE}: every parameter is known and allowed")
