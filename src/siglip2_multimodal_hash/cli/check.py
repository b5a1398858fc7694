"""``smhash check``."""

import argparse

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.params import PARAMS_FILE, load_params


def add_parser(commands: Commands) -> None:
    """Add the command."""
    new_command(commands, "check", check)


def check(_: argparse.Namespace) -> None:
    """Check params.yaml."""
    load_params()
    print(f"{PARAMS_FILE}: every parameter is known and allowed")
