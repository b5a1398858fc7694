"""Tables of the page: comparison with baselines, figures, classes."""

import html
from collections.abc import Sequence
from typing import NamedTuple

from siglip2_multimodal_hash.evaluation.average_precision import average_precisions
from siglip2_multimodal_hash.reporting.tables import BASELINE_COLUMNS, Json, in_order
from siglip2_multimodal_hash.reporting.web.inputs import ReportInputs
from siglip2_multimodal_hash.reporting.web.shapes import cell_bar
from siglip2_multimodal_hash.reporting.web.svg import element

NAMES = {
    "fused": "this head",
    "zero_shot": "zero-shot",
    "mlp": "MLP on the embeddings",
    "logistic_regression": "linear probe",
    "float": "float KNN",
    "pq": "PQ",
    "itq": "ITQ",
    "pca_sign": "PCA sign",
    "lsh": "LSH",
}
FIGURES = {
    "mAP": "mAP",
    "mAP_micro": "micro mAP",
    "CF1": "CF1",
    "OF1": "OF1",
    "lrap": "LRAP",
    "ece": "calibration error",
}
RETRIEVAL = ("mAP@all", "mAP@1000", "NDCG@100", "P@1", "P@10", "P@100", "precision@radius2")


class Cell(NamedTuple):
    """Text of a cell, and the value that its column is sorted by."""

    markup: str
    value: str = ""
    head: bool = False


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]], **kind: str) -> str:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        caption: What it shows.
        head: Names of the columns.
        rows: Cells; those with ``head`` name their row.
        kind: ``class_`` of the table.
    """
    names = "".join(element("th", html.escape(name), scope="col") for name in head)
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    content = (
        element("caption", element("span", html.escape(caption)))
        + element("thead", element("tr", names))
        + element("tbody", body)
    )
    # A box that scrolls must be reachable by keyboard, and so have a name.
    return element(
        "div",
        element("table", content, **kind),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption,
    )


def _cell(cell: Cell) -> str:
    value = cell.value or None
    if cell.head:
        return element("th", cell.markup, scope="row", data_value=value)
    return element("td", cell.markup, data_value=value)


def percent(value: float | None) -> str:
    """A share with one decimal; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}"


def row_name(name: str) -> str:
    """A baseline's name for people."""
    return NAMES.get(name, name.replace("_", " "))


def baseline_table(baselines: Json) -> str:
    """MAP of this head, its variants and the baselines, the best of each column set off."""
    columns = [c for c in BASELINE_COLUMNS if any(c in row for row in baselines.values())]
    best = {c: max(row[c] for row in baselines.values() if c in row) for c in columns}
    rows = []
    for name in in_order(baselines):
        row = baselines[name]
        cells = [Cell(html.escape(row_name(name)), head=True)]
        for column in columns:
            if column not in row:
                cells.append(Cell(""))
                continue
            number = percent(row[column])
            weight = "strong" if row[column] == best[column] else "span"
            number = element(weight, number)
            cells.append(Cell(cell_bar(row[column], _colour(column)) + number))
        rows.append(cells)
    head = ["", *(column.replace("_", "-") for column in columns)]
    return table("mAP on test in percent, the best of each column in bold", head, rows)


def figures_table(inputs: ReportInputs) -> str:
    """Figures of the predictors of tags, side by side."""
    figures = inputs.evaluation.figures
    shown = {name: figures[name]["test"] | figures[name]["test"]["tuned_threshold"]
             for name in inputs.scores}  # fmt: skip
    n = inputs.knn.top_n_tags
    names = {**FIGURES, f"P@{n}": f"P@{n}", f"R@{n}": f"R@{n}"}
    rows = [
        [Cell(title, head=True), *(Cell(percent(own.get(key))) for own in shown.values())]
        for key, title in names.items()
    ]
    thresholds = [Cell(f"{figures[name]['threshold']['tuned']:.3f}") for name in shown]
    rows.append([Cell("threshold, tuned on val", head=True), *thresholds])
    return table("Tags on test, in percent", ["", *shown], rows)


def retrieval_table(inputs: ReportInputs) -> str:
    """Figures of retrieval, and what the codes are like."""
    figures = inputs.evaluation.figures
    own = figures["retrieval"]["test"]
    rows = [
        [Cell(html.escape(name), head=True), Cell(percent(own[name]))]
        for name in RETRIEVAL
        if name in own
    ]
    codes = figures.get("codes", {})
    for key, title in (("bit_entropy", "entropy of a bit"), ("distinct_share", "distinct codes")):
        if key in codes:
            rows.append([Cell(title, head=True), Cell(percent(codes[key]))])
    return table("Retrieval on test, in percent", ["", "codes"], rows)


def class_table(inputs: ReportInputs) -> str:
    """AP of every class with its images, sortable; classes without a positive are left out."""
    labels, names = inputs.labels, inputs.dataset.category_names
    values = {name: average_precisions(own, labels) for name, own in inputs.scores.items()}
    first = next(iter(values))
    support = labels.sum(axis=0)
    order = [c for c in range(len(names)) if support[c]]
    order.sort(key=lambda c: (-values[first][c], names[c]))
    rows = [
        [
            Cell(html.escape(names[c]), names[c], head=True),
            Cell(f"{support[c]:,}", str(support[c])),
            *(
                Cell(cell_bar(own[c], name) + percent(own[c]), f"{own[c]:.6f}")
                for name, own in values.items()
            ),
        ]
        for c in order
    ]
    head = ["class", "images", *(f"AP {name}" for name in values)]
    return table("AP by class on test, in percent", head, rows, class_="sortable")


def _colour(column: str) -> str:
    return column if column in {"knn", "mlp", "hybrid"} else "two"
