"""Tables of a terminal."""

from collections.abc import Collection, Iterable, Sequence


def text_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], text: Collection[int] = (0,)
) -> str:
    """Lay out a table: columns of text to the left, numbers to the right.

    Args:
        head: Names of the columns.
        rows: Cells, the same number in every row.
        text: Numbers of the columns that are text.
    """
    cells = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = (
        "  ".join(
            cell.ljust(width) if column in text else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)
