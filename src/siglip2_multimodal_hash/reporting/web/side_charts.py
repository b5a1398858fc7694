"""Charts of several runs: differences with their intervals, curves side by side."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np

from siglip2_multimodal_hash.arrays import Floats
from siglip2_multimodal_hash.evaluation.significance import Difference
from siglip2_multimodal_hash.reporting.web.charts import (
    DECADES,
    LONGEST_NAME,
    NAME_HEIGHT,
    NAMED_CLASSES,
    PERCENT,
    Figure,
    Series,
    inline,
    line_spec,
    short,
    sized,
)
from siglip2_multimodal_hash.reporting.web.inputs import Record

ROW_HEIGHT = 27
BELOW, ABOVE, UNCLEAR = KINDS = ("below", "above", "unclear")


class Gap(NamedTuple):
    """A line of :func:`forest_chart`.

    Attributes:
        name: Of the line.
        difference: Of two shares; None of the reference, which all others differ from.
        said: Tooltip.
    """

    name: str
    difference: Difference | None
    said: str


class Curve(NamedTuple):
    """A chart of one file of ``plots/``, with a line per run.

    Attributes:
        title: Of the chart.
        file: Its name there, without ``.csv``.
        x: Column; a share where its title has a %.
        y: Likewise.
        x_title: Of the axis.
        y_title: Likewise.
        note: Below the chart.
    """

    title: str
    file: str
    x: str
    y: str
    x_title: str
    y_title: str
    note: str = ""


_EPOCHS, _SHARES = ("epoch", "mAP, %"), ("recall, %", "precision, %")
CURVES = (
    Curve("mAP on val by epoch", "training_val", "epoch", "mAP", *_EPOCHS),
    Curve("Loss of train by epoch", "training_train", "epoch", "total", "epoch", "loss"),
    *(
        Curve(f"Tags of {name}", f"precision_recall_{name}", "recall", "precision", *_SHARES)
        for name in ("knn", "mlp", "hybrid")
    ),
    Curve(
        "Retrieval by growing radius",
        "retrieval_precision_recall",
        "recall",
        "precision",
        *_SHARES,
    ),
    Curve(
        "knn on val by neighbours that vote",
        "knn_by_neighbours",
        "K",
        "knn",
        "neighbours K",
        "mAP, %",
        "For each K the best of the votes and distances that were tried.",
    ),
)


class Side(NamedTuple):
    """A run: its name in the tooltip, its colour, and the rows of files of ``plots/``."""

    name: str
    colour: str
    records: dict[str, list[Record]]


def forest_chart(
    title: str,
    gaps: Sequence[Gap],
    below: str,
    above: str,
    legend: Sequence[tuple[str, str]] = (),
) -> Figure:
    """Differences as points on their intervals: filled where the interval excludes 0.

    Args:
        title: Of the chart.
        gaps: A line each, from above.
        below: Colour of what lies below 0, a variable of page.css.
        above: Of what lies above.
        legend: Of the figure.
    """
    rows = [
        {"name": name, "note": f"{name}: {said}"}
        | {"x": short(100 * gap.value), "low": short(100 * gap.low), "high": short(100 * gap.high)}
        | {"kind": _kind(gap.low, gap.high)}
        for name, gap, said in gaps
        if gap is not None
    ]
    y = alt.Y("name:N", title=None, scale=alt.Scale(domain=[one.name for one in gaps]))
    y = y.axis(labelLimit=LONGEST_NAME, labelColor="var(--ink)", grid=True)
    x = alt.X(
        "x:Q",
        title="difference in points",
        axis=alt.Axis(tickCount=5, labelOverlap=True, labelSeparation=6),
    )
    colours = [f"var(--{below})", f"var(--{above})", "var(--faint)"]
    stroke = alt.Scale(domain=[*KINDS], range=colours)
    fill = alt.Scale(domain=[*KINDS], range=[*colours[:2], "var(--panel)"])
    coloured = alt.Stroke("kind:N", scale=stroke, legend=None)
    first = [{"name": one.name, "x": 0, "note": one.said} for one in gaps if one.difference is None]
    none = alt.Chart(inline([{"x": 0}])).mark_rule(color="var(--ink)", opacity=0.6)
    differences = alt.Chart(inline(rows))
    layers = [
        none.encode(x=x),
        differences.mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q"), x2="high:Q", y=y, stroke=coloured, tooltip="note:N"
        ),
        differences.mark_point(size=70, strokeWidth=2, opacity=1).encode(
            x=x, y=y, stroke=coloured, tooltip="note:N",
            fill=alt.Fill("kind:N", scale=fill, legend=None),
        ),
    ]  # fmt: skip
    if first:
        diamond = alt.Chart(inline(first)).mark_point(
            size=70, shape="diamond", filled=True, opacity=1, color="var(--ink)"
        )
        layers.append(diamond.encode(x=x, y=y, tooltip="note:N"))
    said = "; ".join(f"{one.name}: {one.said}" for one in gaps)
    height = ROW_HEIGHT * len(gaps)
    return Figure(title, sized(alt.layer(*layers), f"{title}. {said}", height), legend)


def curve_charts(sides: Sequence[Side], legend: Sequence[tuple[str, str]]) -> list[Figure]:
    """Each of :data:`CURVES` that a run has, with a line for every run that has it."""
    figures = []
    for curve in CURVES:
        series = [line for side in sides if (line := _line(curve, side)).points]
        if any(len(line.points) > 1 for line in series):
            figures.append(Figure(curve.title, _curve(curve, series), legend, curve.note))
    return figures


def _line(curve: Curve, side: Side) -> Series:
    units = [100 if "%" in title else 1 for title in (curve.x_title, curve.y_title)]
    points = [
        (units[0] * float(one[curve.x]), units[1] * float(one[curve.y]))
        for one in side.records.get(curve.file, [])
        if one.get(curve.x) and one.get(curve.y)
    ]
    x, y = (title.removesuffix(", %") for title in (curve.x_title, curve.y_title))
    return Series(side.name, side.colour, points, [f"{x} {a:.4g}, {y} {b:.4g}" for a, b in points])


def _curve(curve: Curve, series: Sequence[Series]) -> dict[str, Any]:
    x, y = alt.X("x:Q", title=curve.x_title), alt.Y("y:Q", title=curve.y_title)
    if curve.x == "recall":
        x, y = x.scale(PERCENT), y.scale(PERCENT)
    elif curve.x == "K":
        ends = [at for line in series for at, _ in line.points]
        x = x.scale(type="log", nice=False, domain=[min(ends), max(ends)])
        x, y = x.axis(values=DECADES, format=",~g"), y.scale(zero=False)
    else:
        x, y = x.axis(tickMinStep=1), y.scale(zero=False)
    return line_spec(f"{curve.title}, both sides", x, y, series, dots=curve.x == "K")


def class_scatter(
    name: str, a: Floats, b: Floats, categories: Sequence[str], images: Sequence[int]
) -> Figure:
    """AP of each class of side B over that of side A; those that differ most are named.

    Args:
        name: Of the predictor.
        a: AP of A, float64 [C]; NaN without a positive.
        b: Of B.
        categories: C names.
        images: Test images with each class.
    """
    rows: list[dict[str, Any]] = [
        {"x": short(100 * a[c]), "y": short(100 * b[c]), "name": categories[c]}
        | {"kind": _kind(b[c] - a[c], b[c] - a[c])}
        | {
            "note": f"{categories[c]}, {images[c]:,} images\n"
            f"A {100 * a[c]:.1f}, B {100 * b[c]:.1f} ({100 * (b[c] - a[c]):+.1f})"
        }
        for c in np.flatnonzero(~np.isnan(a + b)).tolist()
    ]
    named: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: -abs(row["y"] - row["x"]))[:NAMED_CLASSES]:
        apart = all(abs(row["y"] - other["y"]) >= NAME_HEIGHT for other in named)
        if apart and row["kind"] != UNCLEAR:
            named.append(row)
    x = alt.X("x:Q", title="AP of A, %", scale=PERCENT)
    y = alt.Y("y:Q", title="AP of B, %", scale=PERCENT)
    colours = alt.Scale(domain=[*KINDS], range=["var(--a)", "var(--b)", "var(--faint)"])
    ends = inline([{"x": 0, "y": 0}, {"x": 100, "y": 100}])
    layers = [
        alt.Chart(ends).mark_line(color="var(--faint)", strokeDash=[4, 4], strokeWidth=1),
        alt.Chart(inline(rows))
        .mark_circle(opacity=0.7, size=70, stroke="var(--panel)")
        .encode(color=alt.Color("kind:N", scale=colours, legend=None), tooltip="note:N"),
        alt.Chart(inline(named))
        .mark_text(
            align=alt.expr("datum.x > 50 ? 'right' : 'left'"),
            dx=alt.expr("datum.x > 50 ? -8 : 8"),
            limit=LONGEST_NAME,
            aria=False,
        )
        .encode(text="name:N"),
    ]
    chart = alt.layer(*(layer.encode(x=x, y=y) for layer in layers))
    legend = [("higher in A", "a"), ("higher in B", "b")]
    title = f"AP of {name} by class"
    note = (
        "One dot per class; on the diagonal both are equal. The classes that differ most are named."
    )
    return Figure(title, sized(chart, f"{title}, B over A"), legend, note)


def _kind(low: float, high: float) -> str:
    return ABOVE if low > 0 else BELOW if high < 0 else UNCLEAR
