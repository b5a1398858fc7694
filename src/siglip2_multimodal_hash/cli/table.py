"""``smhash table``."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from siglip2_multimodal_hash.cli.commands import (
    MARKDOWN,
    TEXT,
    Commands,
    add_draws,
    add_format,
    at_least,
    default_format,
    laid_out,
    new_command,
    path_argument,
)
from siglip2_multimodal_hash.document import Part, Table
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.files import read_output, require_free, write_text
from siglip2_multimodal_hash.params import PARAMS_FILE, Params, load_params
from siglip2_multimodal_hash.reporting.tables import (
    BASELINE_COLUMNS,
    REMAKE,
    Json,
    details_file,
    in_order,
    table_of_details,
)

FIGURES = Path("metrics"), Path("outputs")
CSV, LATEX = "csv", "tex"
FORMATS = (TEXT, MARKDOWN, CSV, LATEX)
# Figures are kept with six decimals.
SAME = 1e-5


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "table", table)
    parser.add_argument(
        "row",
        nargs="*",
        help="rows or tiers of configs/ablations.yaml, or `all`",
    )
    parser.add_argument("--seeds", type=at_least(1), help="number of seeds (default: the row's)")
    add_format(parser, CSV, LATEX)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write to FILE instead of the terminal, in the format of its suffix",
    )
    add_draws(parser)
    parser.add_argument(
        "--mixed", action="store_true", help="include runs of different code versions, with a note"
    )
    parser.add_argument(
        "--split",
        choices=("test", "val"),
        default="test",
        help="split of the figures (default: test); untrained codes have no retrieval on val",
    )
    parser.add_argument(
        "--html",
        type=path_argument,
        metavar="FILE",
        help="also write the rows as one page, with charts of the intervals",
    )


def table(arguments: argparse.Namespace) -> None:
    """Print the comparison with bounds and baselines, or tables of ablation rows."""
    inputs = [PARAMS_FILE, *(file for folder in FIGURES for file in folder.rglob("*.json"))]
    for file in (arguments.out, arguments.html):
        if file is not None:
            require_free(file, inputs=inputs)
    if arguments.html is not None and not arguments.row:
        raise InputError(
            f"--html {arguments.html}: no row is named", "name rows of configs/ablations.yaml"
        )
    if arguments.row and arguments.split == "val":
        raise InputError(
            "--split val: results per image are kept for test only",
            "leave out --split, or the rows",
        )
    form = arguments.format or (_form_of(arguments.out) if arguments.out else default_format())
    if not arguments.row and form not in (TEXT, MARKDOWN):
        raise InputError(
            f"--format {form}: the comparison with baselines is no {form}",
            "name rows of configs/ablations.yaml, or take md",
        )
    if arguments.row:
        text = _ablations(arguments, form)
    else:
        text = _laid_out(_workspace(arguments.split, arguments.draws), arguments.out, form)
    if arguments.out is None:
        print(text, end="")
        return
    write_text(arguments.out, text, inputs=inputs)


def _laid_out(parts: Sequence[Part], out: Path | None, form: str) -> str:
    return laid_out(parts, form, colour=out is None and sys.stdout.isatty())


def _form_of(out: Path) -> str:
    form = {"txt": TEXT}.get(suffix := out.suffix.removeprefix("."), suffix)
    if form not in FORMATS:
        raise InputError(f"--out {out}: no known format", f"--format {', '.join(FORMATS)}")
    return form


def _ablations(arguments: argparse.Namespace, form: str) -> str:
    # The table of the workspace need not wait for what this one loads.
    from siglip2_multimodal_hash.experiments import table_text
    from siglip2_multimodal_hash.experiments.tables import read_tables

    tables = read_tables(
        arguments.row, arguments.seeds, draws=arguments.draws, mixed=arguments.mixed
    )
    if arguments.html is not None:
        from siglip2_multimodal_hash.experiments.ablations_page import write_ablations

        write_ablations(arguments.html, tables, draws=arguments.draws)
    if form == CSV:
        return table_text.as_csv(tables)
    if form == LATEX:
        return table_text.latex(tables)
    return _laid_out(table_text.table_parts(tables), arguments.out, form)


def _workspace(split: str, draws: int) -> list[Part]:
    """The comparison of the run of params.yaml, the intervals of its head, and its provenance."""
    params = load_params()
    name = "baselines" if split == "test" else "details"
    path = details_file(params.dataset.name, params.backbone.name, name)
    with read_output(path, REMAKE) as found:
        # The head has a row in any of them.
        test = {"fused": found["fused"], **found}
        figures = table_of_details(found, "val") if name == "details" else test
        rows = comparison_table(figures)
    from siglip2_multimodal_hash.experiments.provenance import workspace_footer

    intervals = _intervals(params, figures["fused"], draws) if split == "test" else {}
    if intervals:
        cells = (intervals.get(column, "") for column in BASELINE_COLUMNS)
        rows = replace(rows, rows=[rows.rows[0], ("fused, 95%", *cells), *rows.rows[1:]])
    said = f"mAP on {split}, percent."
    if intervals:
        said += f" 95%: interval by a bootstrap over the test images ({draws:,} draws), not seeds."
    return [rows, said, workspace_footer(params, split=split)]


def _intervals(params: Params, fused: Json, draws: int) -> dict[str, str]:
    """Intervals of the head's figures; none where results of single images are not there."""
    from siglip2_multimodal_hash.evaluation.items import read_item_results
    from siglip2_multimodal_hash.reporting.intervals import headline_intervals

    folder = Path("outputs", params.dataset.name, params.backbone.name, "evaluation")
    try:
        found = headline_intervals(read_item_results(lambda name: folder / name), draws)
    except DataError:
        return {}
    return {
        name: f"{100 * one.low:.1f} to {100 * one.high:.1f}"
        for name, one in found.items()
        # Of another run than the comparison, unless they agree.
        if abs(fused[name] - one.value) < SAME
    }


def comparison_table(baselines: Json) -> Table:
    """:func:`..reporting.tables.baseline_metrics` as a table, in percent."""
    rows = []
    for name in in_order(baselines):
        values = (baselines[name].get(column) for column in BASELINE_COLUMNS)
        cells = ("" if value is None else f"{100 * value:.1f}" for value in values)
        rows.append((name.replace("_", "-"), *cells))
    return Table(("row", *BASELINE_COLUMNS), rows)
