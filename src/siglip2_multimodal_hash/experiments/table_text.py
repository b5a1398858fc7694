"""Tables of rows for people: on a terminal, in Markdown and in LaTeX; and as CSV."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from siglip2_multimodal_hash import document
from siglip2_multimodal_hash.document import Part, Strong, Weak
from siglip2_multimodal_hash.evaluation.significance import Difference
from siglip2_multimodal_hash.experiments.comparison_text import points
from siglip2_multimodal_hash.experiments.draws import FIGURES
from siglip2_multimodal_hash.experiments.provenance import footer, pairs
from siglip2_multimodal_hash.experiments.tables import Table
from siglip2_multimodal_hash.progress import duration

_EXPLANATION = (
    "Test, percent: mean ± standard deviation over seeds. Below it (in LaTeX next to it) the 95% "
    "interval of the reference (*), and of others the difference to it with its interval, by a "
    "paired bootstrap over test images; same: equal on every image. Bold: best, and the difference "
    "stands (the interval excludes 0). Time: of a run, without what came from the cache."
)
_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "−": "$-$", "≥": r"$\ge$", "≤": r"$\le$",
})  # fmt: skip
HEAD = ("variant", "runs", *FIGURES.values(), "time")


def table_parts(tables: Sequence[Table]) -> list[Part]:
    """Tables, each under its question, with what their figures are of."""
    parts: list[Part] = [_EXPLANATION]
    for table in tables:
        title = f"{table.name}: {table.question}"
        parts += [
            document.Table(HEAD, cells(table), title=title),
            Weak("\n".join([*_of(table), *table.notes])),
        ]
    if origins := [one for table in tables for one in table.origins]:
        parts.append(footer(origins))
    return [part for part in parts if part]


def latex(tables: Sequence[Table]) -> str:
    """Tables in LaTeX (package ``booktabs``)."""
    parts = [f"% {escape(_EXPLANATION)}\n"]
    for table in tables:
        frame = pd.DataFrame(
            [[_latex_cell(cell) for cell in line] for line in cells(table)], columns=list(HEAD)
        )
        text = frame.to_latex(
            index=False,
            column_format="l" + "r" * (frame.shape[1] - 1),
            caption=f"{escape(table.name)}: {escape(table.question)}",
        )
        parts.append(text + "".join(f"% {note}\n" for note in [*_of(table), *table.notes]))
    if origins := [one for table in tables for one in table.origins]:
        parts.append("".join(f"% {line}\n" for line in footer(origins).splitlines()))
    return "\n".join(parts)


def as_csv(tables: Sequence[Table]) -> str:
    """One line per row, variant and figure; shares of 1 instead of percent, no value: empty."""
    frame = pd.concat(
        [table.frame.assign(row=table.name, reference=table.reference) for table in tables]
    )
    frame["best"] = frame["best"].astype(int)
    frame["seconds"] = frame["seconds"].map("{:.1f}".format, na_action="ignore")
    order = ["row", "variant", "reference", *frame.columns.drop(["row", "variant", "reference"])]
    return frame[order].to_csv(index=False, float_format="%.6f", lineterminator="\n")


def escape(text: str) -> str:
    """Text as LaTeX prints it."""
    return text.translate(_LATEX)


def _of(table: Table) -> list[str]:
    return pairs(table.origins[0].params, table.images) if table.origins else []


def cells(table: Table) -> list[list[str]]:
    """A line per variant, a column per figure, all as text."""
    lines = []
    for variant, group in table.frame.groupby("variant", sort=False):
        cells = {line["figure"]: line for line in group.to_dict("records")}
        first, mark = group.iloc[0], " *" if variant == table.reference else ""
        lines.append([
            f"{variant}{mark}",
            str(first["runs"]),
            *(_cell(cells.get(name)) for name in FIGURES.values()),
            "" if pd.isna(first["seconds"]) else duration(first["seconds"]),
        ])  # fmt: skip
    return lines


def _cell(cell: dict[Any, Any] | None) -> str:
    """A cell such as ``74.5 ± 0.3``, and below it ``+1.2 (+0.4 to +2.0)``."""
    if cell is None:
        return ""
    text = f"{100 * cell['mean']:.1f}"
    if not pd.isna(cell["sd"]):
        text += f" ± {100 * cell['sd']:.1f}"
    if not pd.isna(cell["difference"]):
        gap = Difference(cell["difference"], cell["low"], cell["high"])
        text += "\n" + ("same" if gap.value == gap.low == gap.high == 0 else points(gap, 1))
    elif not pd.isna(cell["own_low"]):
        text += f"\n({100 * cell['own_low']:.1f} to {100 * cell['own_high']:.1f})"
    return Strong(text) if cell["best"] else text


def _latex_cell(cell: str) -> str:
    first, *rest = map(escape, cell.split("\n"))
    return " ".join([rf"\textbf{{{first}}}" if isinstance(cell, Strong) else first, *rest])
