"""``smhash summary``: the end of ``make repro``."""

import argparse
import os
import sys

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.files import read_output
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.reporting.tables import REMAKE, figures_file, headline

MEANINGS = {
    "knn": "tags by the vote of the neighbours",
    "knn_best": "the same with the vote of `knn_grid` that is best on val",
    "mlp": "tags by the classifier",
    "retrieval": "the codes' ranking of the database",
}
NEXT = {
    "dvc exp run -S hash.bits=128": "an experiment: one parameter changed",
    "smhash experiments": "all experiments with their figures",
    "smhash predict PHOTO": "tags and neighbours of a photo of your own",
}


def add_parser(commands: Commands) -> None:
    """Add the command."""
    new_command(commands, "summary", summary)


def summary(_: argparse.Namespace) -> None:
    """Show the headline figures of the last run, the path of its page, and commands to try next."""
    params = load_params()
    dataset, backbone = params.dataset.name, params.backbone.name
    with read_output(figures_file(dataset, backbone), REMAKE) as found:
        figures = headline(found)
    width = max(map(len, MEANINGS))
    print(f"mAP on test in percent, {dataset} with {backbone}:")
    for name, meaning in MEANINGS.items():
        print(f"  {name:{width}}  {100 * figures[name]:5.1f}  {meaning}")
    print(f"\npage: reports/{dataset}/{backbone}/index.html\n")
    in_environment = sys.prefix == sys.base_prefix or os.environ.get("VIRTUAL_ENV") == sys.prefix
    activation = os.path.join(os.path.relpath(sys.prefix), "bin", "activate")
    print("next:" if in_environment else f"next, after `source {activation}`:")
    width = max(map(len, NEXT))
    for command, meaning in NEXT.items():
        print(f"  {command:{width}}  {meaning}")
