"""``smhash table``."""

import argparse
from pathlib import Path

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.reporting.tables import markdown_table, table_of_details

METRICS_FOLDER = Path("metrics")


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "table", table)
    parser.add_argument(
        "--split", choices=("test", "val"), default="test", help="whose figures (default: test)"
    )


def table(arguments: argparse.Namespace) -> None:
    """Print the comparison with bounds and baselines as Markdown, mAP in percent."""
    params = load_params()
    folder = METRICS_FOLDER / params.dataset.name / params.backbone.name
    if arguments.split == "test":
        rows = read_json(folder / "baselines.json")
    else:
        rows = table_of_details(read_json(folder / "details.json"), arguments.split)
    print(markdown_table(rows), end="")
