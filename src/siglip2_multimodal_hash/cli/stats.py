"""``smhash stats``."""

import argparse
from pathlib import Path

from siglip2_multimodal_hash.cli.commands import Commands, new_command, print_json
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import load_params

DATA_FOLDER = Path("data")


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "stats", stats)
    parser.add_argument("--json", action="store_true", help="as JSON instead of tables")


def stats(arguments: argparse.Namespace) -> None:
    """Describe the dataset: classes, labels, captions, and how far the splits differ."""
    # Other commands need not wait for pandas.
    from siglip2_multimodal_hash.datasets.statistics import summarise_statistics
    from siglip2_multimodal_hash.reporting.statistics_table import statistics_text

    name = load_params().dataset.name
    summary = summarise_statistics(read_json(DATA_FOLDER / name / "statistics.json"))
    if arguments.json:
        print_json(summary)
    else:
        print(statistics_text(name, summary), end="")
