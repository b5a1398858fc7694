"""Tables of rows as Markdown, CSV and LaTeX."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from siglip2_multimodal_hash.experiments.draws import FIGURES
from siglip2_multimodal_hash.experiments.progress import duration
from siglip2_multimodal_hash.experiments.tables import Table

_EXPLANATION = (
    "Test, percent: mean ± standard deviation over seeds; below it or next to it the difference to "
    "the reference (*) with its 95% interval by a paired bootstrap over test images. Bold: best, "
    "and the difference stands (the interval excludes 0). Time: of a run, without what came from "
    "the cache."
)
_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "−": "$-$", "≥": r"$\ge$", "≤": r"$\le$",
})  # fmt: skip

HEAD = ("variant", "runs", *FIGURES.values(), "time")


def markdown(tables: Sequence[Table]) -> str:
    """Tables in Markdown, each under a heading with its question."""
    parts = [f"{_EXPLANATION}\n"]
    for table in tables:
        frame = _wide(table, "**{}**", "<br>", lambda text: text.replace("_", r"\_"))
        align = ("left", *["right"] * (frame.shape[1] - 1))
        text = frame.to_markdown(index=False, disable_numparse=True, colalign=align)
        # Without padding, so that a change of one cell changes one line.
        text = re.sub("-{3,}", "---", re.sub(" +", " ", text))
        notes = "".join(f"\n{note}\n" for note in table.notes)
        parts.append(f"### {table.name}: {table.question}\n\n{text}\n{notes}")
    return "\n".join(parts)


def latex(tables: Sequence[Table]) -> str:
    """Tables in LaTeX (package ``booktabs``)."""
    parts = [f"% {escape(_EXPLANATION)}\n"]
    for table in tables:
        frame = _wide(table, r"\textbf{{{}}}", " ", escape)
        text = frame.to_latex(
            index=False,
            column_format="l" + "r" * (frame.shape[1] - 1),
            caption=f"{escape(table.name)}: {escape(table.question)}",
        )
        parts.append(text + "".join(f"% {note}\n" for note in table.notes))
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


FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "md": markdown,
    "csv": as_csv,
    "tex": latex,
}


def cells(table: Table) -> list[list[str]]:
    """A line per variant with the columns of :data:`HEAD`; differences below the figures."""
    found: list[list[str]] = _wide(table, "{}", "\n", str).to_numpy().tolist()
    return found


def escape(text: str) -> str:
    """Text as LaTeX prints it."""
    return text.translate(_LATEX)


def _wide(table: Table, bold: str, separator: str, plain: Callable[[str], str]) -> pd.DataFrame:
    """A line per variant, a column per figure, all as text."""
    lines = []
    for variant, group in table.frame.groupby("variant", sort=False):
        cells = {line["figure"]: line for line in group.to_dict("records")}
        first, mark = group.iloc[0], " *" if variant == table.reference else ""
        lines.append(
            {"variant": plain(str(variant)) + mark, "runs": str(first["runs"])}
            | {name: _cell(cells.get(name), bold, separator, plain) for name in FIGURES.values()}
            | {"time": "" if pd.isna(first["seconds"]) else duration(first["seconds"])}
        )
    return pd.DataFrame(lines)


def _cell(
    cell: dict[Any, Any] | None, bold: str, separator: str, plain: Callable[[str], str]
) -> str:
    """A cell such as ``**74.5 ± 0.3**<br>+1.2 (0.4 to 2.0)``."""
    if cell is None:
        return ""
    text = f"{100 * cell['mean']:.1f}"
    text = plain(text if pd.isna(cell["sd"]) else f"{text} ± {100 * cell['sd']:.1f}")
    shown = bold.format(text) if cell["best"] else text
    if pd.isna(cell["difference"]):
        return shown
    gap, low, high = (100 * cell[key] for key in ("difference", "low", "high"))
    numbers = f"{gap:+.1f} ({low:+.1f} to {high:+.1f})"
    return f"{shown}{separator}{plain(numbers.replace('-', '−'))}"
