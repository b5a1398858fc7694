"""``smhash table``."""

import argparse
from pathlib import Path

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import read_output, require_free, write_text
from siglip2_multimodal_hash.params import PARAMS_FILE, load_params
from siglip2_multimodal_hash.reporting.tables import (
    REMAKE,
    details_file,
    markdown_table,
    table_of_details,
)

FIGURES = Path("metrics"), Path("outputs")
FORMATS = ("md", "csv", "tex")
FEWEST_DRAWS = 100


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "table", table)
    parser.add_argument(
        "row",
        nargs="*",
        help="rows or tiers of configs/ablations.yaml, or `all`",
    )
    parser.add_argument("--seeds", type=int, help="number of seeds (default: the row's)")
    parser.add_argument(
        "--format", choices=FORMATS, help="output format (default: by the suffix of --out, else md)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write to FILE instead of the terminal"
    )
    parser.add_argument(
        "--draws",
        type=int,
        default=2000,
        help="number of bootstrap draws (default: %(default)s)",
    )
    parser.add_argument(
        "--mixed", action="store_true", help="include runs of different code versions, with a note"
    )
    parser.add_argument(
        "--split",
        choices=("test", "val"),
        default="test",
        help="split of the figures (default: test); untrained codes have no retrieval on val",
    )


def table(arguments: argparse.Namespace) -> None:
    """Print the comparison with bounds and baselines, or tables of ablation rows."""
    inputs = [PARAMS_FILE, *(file for folder in FIGURES for file in folder.rglob("*.json"))]
    if arguments.out is not None:
        require_free(arguments.out, inputs=inputs)
    if arguments.row and arguments.split == "val":
        raise InputError(
            "--split val: results per image are kept for test only",
            "leave out --split, or the rows",
        )
    if arguments.row:
        text = _ablations(arguments)
    elif arguments.format not in (None, "md"):
        raise InputError(
            f"--format {arguments.format}: the comparison with baselines is Markdown only",
            "name rows of configs/ablations.yaml",
        )
    else:
        params = load_params()
        name = "baselines" if arguments.split == "test" else "details"
        path = details_file(params.dataset.name, params.backbone.name, name)
        with read_output(path, REMAKE) as found:
            # The head has a row in any of them.
            test = {"fused": found["fused"], **found}
            text = markdown_table(table_of_details(found, "val") if name == "details" else test)
    if arguments.out is None:
        print(text, end="")
        return
    write_text(arguments.out, text, inputs=inputs)


def _ablations(arguments: argparse.Namespace) -> str:
    form = arguments.format or (
        arguments.out.suffix.removeprefix(".") if arguments.out is not None else "md"
    )
    if form not in FORMATS:
        raise InputError(
            f"--out {arguments.out}: no known format", f"--format {', '.join(FORMATS)}"
        )
    if arguments.draws < FEWEST_DRAWS:
        raise InputError(
            f"--draws {arguments.draws}: too few for an interval", f"use {FEWEST_DRAWS} or more"
        )
    if arguments.seeds is not None and arguments.seeds < 1:
        raise InputError(f"--seeds {arguments.seeds}: at least 1")
    # The table of the workspace need not wait for what this one loads.
    from siglip2_multimodal_hash.experiments.table_text import FORMATS as WRITERS
    from siglip2_multimodal_hash.experiments.tables import read_tables

    tables = read_tables(
        arguments.row, arguments.seeds, draws=arguments.draws, mixed=arguments.mixed
    )
    return WRITERS[form](tables)
