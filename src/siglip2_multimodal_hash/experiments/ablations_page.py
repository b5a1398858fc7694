"""Rows of ablations as one page: differences from the reference with their intervals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from siglip2_multimodal_hash.evaluation.significance import Difference
from siglip2_multimodal_hash.experiments.comparison_page import runs_table
from siglip2_multimodal_hash.experiments.comparison_text import points
from siglip2_multimodal_hash.experiments.draws import FIGURES
from siglip2_multimodal_hash.experiments.provenance import footer, pairs
from siglip2_multimodal_hash.experiments.table_text import HEAD, cells
from siglip2_multimodal_hash.experiments.tables import Table
from siglip2_multimodal_hash.reporting.page import write_page
from siglip2_multimodal_hash.reporting.web import tables as web
from siglip2_multimodal_hash.reporting.web.charts import Figure
from siglip2_multimodal_hash.reporting.web.side_charts import Gap, forest_chart


def write_ablations(path: Path, tables: Sequence[Table], *, draws: int) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        tables: A section each.
        draws: Of the bootstrap.

    Raises:
        InputError: The file cannot be written.
    """
    origins = {(table.name, one.commit): one for table in tables for one in table.origins}
    context = {
        "title": f"Ablations: {', '.join(table.name for table in tables)}",
        "sections": [
            *((table.name, table.name) for table in tables),
            ("glossary", "Glossary"),
            ("provenance", "Provenance"),
        ],
        "rows": [_section(table) for table in tables],
        "draws": f"{draws:,}",
        "runs": runs_table((row, one) for (row, _), one in origins.items()),
        "provenance": footer([*origins.values()]).split("\n") if origins else [],
    }
    write_page(path, "ablations.html", context, {}, (), None, None)


def _section(table: Table) -> dict[str, Any]:
    size = pairs(table.origins[0].params, table.images) if table.origins else []
    return {
        "name": table.name,
        "question": table.question,
        "size": " ".join(size),
        "charts": [chart for figure in FIGURES.values() if (chart := _forest(table, figure))],
        "table": web.Table(
            "Test, in percent", ["", *HEAD[1:]], web.text_rows(cells(table)), "wide lines"
        ),
        "notes": table.notes,
    }


def _forest(table: Table, figure: str) -> Figure | None:
    """The differences of one figure; None where there is none."""
    gaps = []
    for line in table.frame[table.frame["figure"] == figure].to_dict("records"):
        name = str(line["variant"])
        if name == table.reference:
            gaps.append(Gap(name, None, "the reference"))
        elif not pd.isna(line["difference"]):
            gap = Difference(line["difference"], line["low"], line["high"])
            gaps.append(Gap(name, gap, points(gap, 2)))
    if all(one.difference is None for one in gaps):
        return None
    return forest_chart(figure, gaps, "bad", "good")
