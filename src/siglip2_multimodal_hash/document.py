"""Paragraphs and tables for people: aligned on a terminal, or as Markdown."""

import io
import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

WIDTH = 100
"""Characters of a line where there is no terminal."""


SHORTEST_NAME = 12
"""Characters of a row's name that are not broken."""

_GAP, _DOTS = 2, "…"


class Strong(str):
    """Text that stands out, up to its first line break: bold."""

    __slots__ = ()


class Weak(str):
    """Text that steps back: dim on a terminal, plain elsewhere."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        head: Names of the columns.
        rows: Cells, the same number in every row; a line break in one is a line of its own.
        text: Numbers of the columns that are text, to the left; numbers stand to the right.
        title: Of the table; empty where the context says it.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Collection[int] = (0,)
    title: str = ""


Part: TypeAlias = str | Table


def terminal_width() -> int:
    """Characters of a line of the terminal (``COLUMNS`` decides), or :data:`WIDTH`."""
    return shutil.get_terminal_size((WIDTH, 0)).columns


def as_text(parts: Iterable[Part], *, width: int | None = None, colour: bool = False) -> str:
    """Lay out for a terminal; what is too wide goes on in the next line of its column.

    Args:
        parts: Paragraphs and tables.
        width: Of a line, in characters; None: :func:`terminal_width`.
        colour: Whether to colour it, where ``NO_COLOR`` and ``TERM`` allow that.
    """
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width or terminal_width(),
        # None would look at the stream, and at variables that force colours on files.
        force_terminal=colour,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for number, part in enumerate(parts):
        if number:
            console.print()
        if isinstance(part, Table):
            if part.title:
                console.print(Text(part.title, style="bold"))
            console.print(_grid(_fitting(part, console.width)))
        else:
            console.print(_styled(part))
    return "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))


def as_markdown(parts: Iterable[Part]) -> str:
    """Lay out as Markdown, without padding, so that a change of one cell changes one line."""
    return "\n".join(_markdown(part) for part in parts)


def _grid(table: Table) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for number, name in enumerate(table.head):
        if number in table.text:
            # What names the row stays legible, at the cost of the last columns.
            longest = max(len(cells[number]) for cells in (table.head, *table.rows))
            least = min(SHORTEST_NAME, longest) if number == 0 else None
            grid.add_column(Text(name), overflow="fold", min_width=least)
        else:
            grid.add_column(Text(name), justify="right", no_wrap=True)
    for row in table.rows:
        grid.add_row(*map(_styled, row))
    return grid


def _fitting(table: Table, width: int) -> Table:
    """The table without the last columns that a line has no room for; dots stand for them.

    Rich would take the room from every column, and all of that of a short one, such as the names.
    """
    columns = list(zip(table.head, *table.rows, strict=True))
    least = [
        max(cell_len(line) for cell in cells for line in cell.split("\n")) for cells in columns
    ]
    for number in table.text:
        least[number] = min(least[number], 1 if number else SHORTEST_NAME)
    ends = [sum(least[: count + 1]) + _GAP * count for count in range(len(least))]
    if ends[-1] <= width:
        return table
    kept = max(1, sum(end + _GAP + 1 <= width for end in ends))
    dots = (_DOTS, *[""] * len(table.rows))
    head, *rows = zip(*columns[:kept], dots, strict=True)
    return replace(table, head=head, rows=rows, text={*table.text} & {*range(kept)})


def _styled(text: str) -> Text:
    if isinstance(text, Strong):
        first, line_break, rest = text.partition("\n")
        return Text.assemble((first, "bold green"), line_break, rest)
    return Text(text, style="dim" if isinstance(text, Weak) else "")


def _markdown(part: Part) -> str:
    if isinstance(part, str):
        return f"**{part}**\n" if isinstance(part, Strong) else f"{part}\n"
    align = ("---" if number in part.text else "---:" for number in range(len(part.head)))
    lines = [_row(part.head), f"|{'|'.join(align)}|", *map(_row, part.rows)]
    title = f"### {part.title}\n\n" if part.title else ""
    return title + "".join(f"{line}\n" for line in lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    first, *rest = text.replace("|", r"\|").split("\n")
    return "<br>".join([f"**{first}**" if isinstance(text, Strong) else first, *rest])
