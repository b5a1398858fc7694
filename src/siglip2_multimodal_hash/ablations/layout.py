"""Tables of rows as Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Callable, Sequence

from siglip2_multimodal_hash.ablations.draws import FIGURES
from siglip2_multimodal_hash.ablations.progress import duration
from siglip2_multimodal_hash.ablations.tables import Cell, Line, Table

_EXPLANATION = (
    "Test, percent: mean ± standard deviation over seeds; below or beside it the difference to "
    "the reference (*) with its 95% interval by a paired bootstrap over test images. Bold: best, "
    "and the difference stands (the interval excludes 0). Time: of a run, without what came from "
    "the cache."
)
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "−": "$-$", "≥": r"$\ge$", "≤": r"$\le$",
}  # fmt: skip
_CSV_HEAD = (
    "row", "variant", "reference", "figure", "runs", "mean", "sd", "difference", "low", "high",
    "best", "seconds",
)  # fmt: skip


def markdown(tables: Sequence[Table]) -> str:
    """Tables in Markdown, each under a heading with its question."""
    return "\n".join([f"{_EXPLANATION}\n", *map(_markdown, tables)])


def latex(tables: Sequence[Table]) -> str:
    """Tables in LaTeX (package ``booktabs``)."""
    return "\n".join([f"% {escape(_EXPLANATION)}\n", *map(_latex, tables)])


def as_csv(tables: Sequence[Table]) -> str:
    """One line a row, variant and figure; shares of 1 instead of percent, no value: empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_CSV_HEAD)
    for table in tables:
        for line in table.lines:
            for name, cell in line.cells.items():
                gap = cell.difference
                numbers = (cell.mean, cell.sd, *((gap.value, gap.low, gap.high) if gap else ()))
                shown = ["" if number is None else f"{number:.6f}" for number in numbers]
                writer.writerow(
                    [table.name, line.variant, table.reference, name, len(cell.values)]
                    + shown + [""] * (5 - len(shown))
                    + [int(cell.best), "" if line.seconds is None else f"{line.seconds:.1f}"]
                )  # fmt: skip
    return stream.getvalue()


FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "md": markdown,
    "csv": as_csv,
    "tex": latex,
}


def escape(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(_LATEX.get(character, character) for character in text)


def _markdown(table: Table) -> str:
    head = ("variant", "runs", *FIGURES.values(), "time")
    lines = [
        f"### {table.name}: {table.question}\n",
        f"| {' | '.join(head)} |",
        f"|---|---:|{'---:|' * len(FIGURES)}---:|",
    ]
    for line in table.lines:
        cells = (
            _cell(line.cells.get(name), bold="**{}**", separator="<br>")
            for name in FIGURES.values()
        )
        name = line.variant.replace("_", r"\_")
        lines.append(
            f"| {name}{_mark(line, table)} | {line.runs} | {' | '.join(cells)} | {_time(line)} |"
        )
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return "\n".join(lines) + f"\n{notes}"


def _latex(table: Table) -> str:
    columns = " & ".join(("variant", "runs", *FIGURES.values(), "time"))
    lines = [
        r"\begin{table}",
        rf"\caption{{{escape(table.name)}: {escape(table.question)}}}",
        rf"\begin{{tabular}}{{lr{'r' * len(FIGURES)}r}}",
        r"\toprule",
        rf"{columns} \\",
        r"\midrule",
    ]
    for line in table.lines:
        cells = (
            _cell(line.cells.get(name), bold=r"\textbf{{{}}}", separator=" ", plain=escape)
            for name in FIGURES.values()
        )
        name = escape(line.variant + _mark(line, table))
        words = " & ".join((name, str(line.runs), *cells, escape(_time(line))))
        lines.append(rf"{words} \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    lines += [f"% {note}" for note in table.notes]
    return "\n".join(lines) + "\n"


def _cell(
    cell: Cell | None,
    *,
    bold: str,
    separator: str,
    plain: Callable[[str], str] = lambda text: text,
) -> str:
    """Such as ``**74.5 ± 0.3**<br>+1.2 (0.4 to 2.0)``."""
    if cell is None:
        return ""
    text = f"{100 * cell.mean:.1f}" + ("" if cell.sd is None else f" ± {100 * cell.sd:.1f}")
    shown = bold.format(plain(text)) if cell.best else plain(text)
    gap = cell.difference
    if gap is None:
        return shown
    numbers = f"{100 * gap.value:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    return f"{shown}{separator}{plain(numbers.replace('-', '−'))}"


def _mark(line: Line, table: Table) -> str:
    return " *" if line.variant == table.reference else ""


def _time(line: Line) -> str:
    return "" if line.seconds is None else duration(line.seconds)
