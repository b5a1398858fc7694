"""``smhash stats``."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from siglip2_multimodal_hash.cli.commands import new_command
from siglip2_multimodal_hash.datasets.statistics_summary import summarise_statistics
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.reporting.statistics_table import statistics_text

if TYPE_CHECKING:
    from siglip2_multimodal_hash.cli.commands import Commands

DATA_FOLDER = Path("data")


def add_parser(commands: "Commands") -> None:
    """Add the command."""
    parser = new_command(commands, "stats", stats)
    parser.add_argument("--json", action="store_true", help="as JSON instead of tables")


def stats(arguments: argparse.Namespace) -> None:
    """Describe the dataset: classes, labels, captions, and how far the splits differ."""
    name = load_params().dataset.name
    path = DATA_FOLDER / name / "statistics.json"
    try:
        summary = summarise_statistics(read_json(path))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not the statistics of a dataset ({error!r})",
            "run `dvc repro build_dataset_index`",
        ) from None
    if arguments.json:
        print(json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(statistics_text(name, summary), end="")
