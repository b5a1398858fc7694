"""``smhash errors``."""

import argparse
from pathlib import Path

from siglip2_multimodal_hash.cli.commands import Commands, new_command, print_json
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import PREDICTORS, load_params

METRICS_FOLDER = Path("metrics")


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "errors", errors)
    parser.add_argument(
        "--predictor", choices=PREDICTORS, default="knn", help="whose tags (default: %(default)s)"
    )
    parser.add_argument("--classes", type=int, metavar="N", help="only the N classes of lowest AP")
    parser.add_argument("--json", action="store_true", help="all of it as JSON instead of tables")


def errors(arguments: argparse.Namespace) -> None:
    """Show where tags on test are wrong: classes, images, sizes, captions."""
    params = load_params()
    found = read_json(METRICS_FOLDER / params.dataset.name / params.backbone.name / "errors.json")
    if arguments.json:
        print_json(found)
        return
    # Other commands need not wait for what this one loads.
    from siglip2_multimodal_hash.reporting.errors_text import errors_text

    print(errors_text(found, arguments.predictor, arguments.classes), end="")
