"""``smhash table``."""

import argparse
from pathlib import Path

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.reporting.tables import markdown_table

METRICS_FOLDER = Path("metrics")


def add_parser(commands: Commands) -> None:
    """Add the command."""
    new_command(commands, "table", table)


def table(_: argparse.Namespace) -> None:
    """Print the comparison with bounds and baselines as Markdown, mAP on test in percent."""
    params = load_params()
    folder = METRICS_FOLDER / params.dataset.name / params.backbone.name
    print(markdown_table(read_json(folder / "baselines.json")), end="")
