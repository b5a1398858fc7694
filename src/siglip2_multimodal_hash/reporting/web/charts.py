"""Charts of the page as Vega-Lite, coloured by the variables of page.css: light and dark are one.

Numbers keep six significant digits, as in the data of the plots.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np

from siglip2_multimodal_hash.evaluation.average_precision import average_precisions, micro_curve
from siglip2_multimodal_hash.evaluation.distance_distribution import (
    cosine_distribution,
    hamming_distribution,
)
from siglip2_multimodal_hash.evaluation.reliability import reliability
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.reporting.web.inputs import Record, ReportInputs

LONGEST_NAME = 150  # pixels
NAMED_CLASSES = 6
# Percentage points of AP that a name takes up.
NAME_HEIGHT = 6
HEIGHT, CELL_HEIGHT = 235, 26
PERCENT = alt.Scale(domain=[0, 100])
# Most tag scores are near 0: a cube root spreads them out, and the diagonal stays straight.
ROOT = alt.Scale(type="pow", exponent=1 / 3, domain=[0, 100], nice=False)
ROOT_MARKS = alt.Axis(
    values=[0, 0.1, 1, 5, 10, 25, 50, 100],
    tickCount=8,
    labelExpr="'' + datum.value",
    labelOverlap=False,
)
DECADES = [step * 10**power for power in range(7) for step in (1, 2, 5)]


class Figure(NamedTuple):
    """A chart as the page frames it.

    Attributes:
        title: Above it.
        spec: Vega-Lite; its description is the text of a screen reader.
        legend: Names, each with a class of page.css that colours it.
        note: Explanation below it.
    """

    title: str
    spec: dict[str, Any]
    legend: Sequence[tuple[str, str]] = ()
    note: str = ""


class Series(NamedTuple):
    """One line.

    Attributes:
        name: Its name beside the pointer.
        colour: ``knn``, ``mlp``, ``hybrid``, ``one`` or ``two`` of page.css.
        points: (x, y), by ascending x.
        notes: Text beside the pointer at each point.
        label: In the legend, where it is more than the name.
    """

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    notes: Sequence[str]
    label: str = ""


def training_charts(inputs: ReportInputs) -> list[Figure]:
    """Loss of train and val, mAP on val, and signs of a collapse there, by epoch.

    The epoch that was kept is marked: the best by the monitored figure, which need not be the mAP.
    """
    losses = {
        split: [(float(one["epoch"]), float(one["total"])) for one in records if "total" in one]
        for split, records in inputs.training.items()
    }
    maps = [
        (float(one["epoch"]), 100 * float(one["mAP"]))
        for one in inputs.training["val"]
        if "mAP" in one
    ]
    if not any(losses.values()):
        return []
    x = alt.X("x:Q", title="epoch", axis=alt.Axis(tickMinStep=1))
    x = x.scale(domain=_ends(epoch for points in losses.values() for epoch, _ in points))
    series = [
        Series(split, colour, points, [f"epoch {e:g}: {v:.4f}" for e, v in points])
        for (split, points), colour in zip(losses.items(), ("one", "two"), strict=True)
    ]
    y = alt.Y("y:Q", scale=alt.Scale(zero=False))
    figures = [
        Figure(
            "Loss by epoch",
            line_spec("Loss of train and val by epoch", x, y.title("loss"), series),
            legend(series),
        )
    ]
    if maps:
        best = inputs.best_epoch
        kept = [f"{v:.1f} %" for epoch, v in maps if epoch == best]
        named = f"epoch {best}" if best else "closed form (epoch 0)"
        series = [Series("val", "two", maps, [f"epoch {e:g}: {v:.1f} %" for e, v in maps])]
        marked = alt.Chart(inline([{"x": best}])).mark_rule(
            color="var(--ink)", opacity=0.6, strokeDash=[2, 4]
        )
        figures.append(
            Figure(
                "mAP on val by epoch",
                line_spec(
                    "mAP on val by epoch", x, y.title("mAP, %"), series, behind=[marked.encode(x=x)]
                ),
                [*legend(series), (", ".join([f"kept: {named}", *kept]), "mark")],
            )
        )
    return figures + _collapse_chart(inputs.training["val"], x)


def _collapse_chart(records: Sequence[Record], x: alt.X) -> list[Figure]:
    """Entropy of the bits and mean cosine of different items, where the fit noted them."""
    found = (
        Series(
            name,
            colour,
            [(float(one["epoch"]), float(one[column])) for one in records if column in one],
            [f"epoch {one['epoch']}: {float(one[column]):.3f}" for one in records if column in one],
            label,
        )
        for column, name, colour, label in (
            ("bit_entropy", "bits", "one", "entropy of the bits (0: constants)"),
            ("direction_cosine", "directions", "two", "cosine of different items (1: all are one)"),
        )
    )
    series = [one for one in found if one.points]
    if not series:
        return []
    title = "Bits and directions on val by epoch"
    y = alt.Y("y:Q", title="entropy, cosine")
    return [Figure(title, line_spec(title, x, y, series), legend(series))]


def precision_recall_charts(inputs: ReportInputs) -> list[Figure]:
    """Precision and recall of all tag decisions by predictor, and of retrieval by distance."""
    series = []
    for name, own in inputs.scores.items():
        curve = micro_curve(own, inputs.labels, 100)
        points = _percent(curve.recall, curve.precision)
        notes = [
            f"recall {r:.1f}, precision {p:.1f} from score {t:.3f}"
            for (r, p), t in zip(points, curve.thresholds, strict=True)
        ]
        series.append(Series(name, name, points, notes))
    x = alt.X("x:Q", title="recall, %", scale=PERCENT)
    y = alt.Y("y:Q", title="precision, %", scale=PERCENT)
    found = inputs.evaluation.curves["test"]
    points = _percent(found["recall"], found["precision"])
    packed = inputs.codes.packed
    # The curve of codes has one point per distance, 0 to bits, as a share of the bits.
    radii = [
        f"{at:.3f}" if packed is None else f"{at * (len(points) - 1):.0f}"
        for at in found["distance"]
    ]
    notes = [
        f"distance ≤ {radius}: recall {r:.1f}, precision {p:.1f}"
        for radius, (r, p) in zip(radii, points, strict=True)
    ]
    codes = [Series("codes", "two", points, notes)]
    return [
        Figure(
            "Tags: precision and recall",
            line_spec("Precision and recall of tags by predictor, on test", x, y, series),
            legend(series),
            "All tag decisions pooled, the most confident first.",
        ),
        Figure(
            "Retrieval: precision and recall",
            line_spec("Precision and recall of retrieval by distance, on test", x, y, codes),
            legend(codes),
            "Mean over the queries of test; items that share a label are relevant.",
        ),
    ]


def class_chart(inputs: ReportInputs) -> Figure:
    """AP of each class over the number of its test images; the lowest ones are named."""
    labels, names = inputs.labels, inputs.dataset.category_names
    name, scores = next(iter(inputs.scores.items()))
    values, support = 100 * average_precisions(scores, labels), labels.sum(axis=0)
    shown = np.flatnonzero(support)
    low, high = 0.9 * float(support[shown].min()), 1.1 * float(support[shown].max())
    rows = [
        {"x": int(support[c]), "y": short(values[c]), "name": names[c]}
        | {"note": f"{names[c]}: AP {values[c]:.1f}, {support[c]:,} images"}
        for c in shown
    ]
    named: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row["y"], row["name"]))[:NAMED_CLASSES]:
        if all(abs(row["y"] - other["y"]) >= NAME_HEIGHT for other in named):
            # To the right of its dot, unless the frame ends there.
            named.append(row | {"left": row["x"] > low**0.4 * high**0.6})
    marks = alt.Axis(values=DECADES, tickCount=8, format=",~g")
    x = alt.X("x:Q", title="images with the class, test", axis=marks)
    x = x.scale(type="log", nice=False, domain=[short(low), short(high)])
    y = alt.Y("y:Q", title=f"AP of {name}, %", scale=PERCENT)
    dots = alt.Chart(inline(rows)).mark_circle(
        color="var(--knn)", opacity=0.65, size=80, stroke="var(--panel)"
    )
    texts = alt.Chart(inline(named)).mark_text(
        align=alt.expr("datum.left ? 'right' : 'left'"),
        dx=alt.expr("datum.left ? -8 : 8"),
        limit=LONGEST_NAME,
        aria=False,
    )
    layers = [dots.encode(x=x, y=y, tooltip="note:N"), texts.encode(x=x, y=y, text="name:N")]
    said = f"AP of {name} by class over its number of images"
    return Figure(
        "AP by class and support", sized(alt.layer(*layers), said), (), "One dot per class."
    )


def distance_chart(inputs: ReportInputs) -> Figure:
    """Distances of relevant and of irrelevant pairs of a test query and a database item."""
    dataset, labels = inputs.dataset, inputs.dataset.labels()
    test, database = dataset.rows("test"), dataset.rows("database")
    codes, is_float = inputs.codes.searchable(), inputs.codes.packed is None
    count = cosine_distribution if is_float else hamming_distribution
    pairs = count(codes[test], codes[database], labels[test], labels[database])
    series = []
    for name, colour, counts in (
        ("share a label", "knn", pairs.relevant),
        ("share none", "mlp", pairs.irrelevant),
    ):
        shares = counts / max(counts.sum(), 1)
        points = [*zip(pairs.distances.tolist(), (100 * shares).tolist(), strict=True)]
        notes = [f"{share:.2f} % at {at:.3g}" for at, share in points]
        label = f"{name}, mean {shares @ pairs.distances:.3g}"
        series.append(Series(name, colour, points, notes, label))
    x = alt.X("x:Q", title="(1 − cosine) / 2" if is_float else "Hamming distance")
    x = x.scale(domain=[0, 1 if is_float else float(pairs.distances[-1])], nice=False)
    y = alt.Y("y:Q", title="share of pairs, %")
    said = "Share of pairs by distance, relevant against irrelevant"
    return Figure(
        "Distance of relevant and irrelevant pairs",
        line_spec(said, x, y, series, filled=True),
        legend(series),
        f"All {len(test):,} × {len(database):,} pairs of a test query and a database item.",
    )


def calibration_chart(inputs: ReportInputs) -> Figure:
    """Reliability of every predictor, in bins of equal mass."""
    series = []
    for name, own in inputs.scores.items():
        bins = reliability(own, inputs.labels)
        points = _percent(bins.scores, bins.shares)
        notes = [
            f"score {score:.2f} %, right {share:.2f} % of {size:,}"
            for (score, share), size in zip(points, bins.sizes, strict=True)
        ]
        error = inputs.evaluation.figures[name]["test"]["ece"]
        series.append(Series(name, name, points, notes, f"{name}, ECE {100 * error:.2f} %"))
    x = alt.X("x:Q", title="mean score, %", scale=ROOT, axis=ROOT_MARKS)
    y = alt.Y("y:Q", title="share correct, %", scale=ROOT, axis=ROOT_MARKS)
    ends = inline([{"x": 0, "y": 0}, {"x": 100, "y": 100}])
    diagonal = alt.Chart(ends).mark_line(color="var(--faint)", strokeDash=[4, 4], strokeWidth=1)
    said = "Reliability diagram of the predictors, on test"
    return Figure(
        "Calibration",
        line_spec(said, x, y, series, dots=True, behind=[diagonal.encode(x=x, y=y)]),
        legend(series),
        "15 bins of equally many decisions; on the diagonal a score equals the share of correct "
        "tags. Cube-root scale on both axes.",
    )


def vote_maps(rows: Sequence[Record], knn: KnnParams) -> list[Figure]:
    """One heat map per distance: a row for each vote, a column for each K.

    Args:
        rows: Of ``knn_grid.csv``. A row for each ``hybrid_weight`` says the same of ``knn``.
        knn: The setting of params.yaml, which is set off, as is the best one.
    """
    values = {
        (row["distance"], int(row["K"]), vote_name(row["vote"], row["tau"])): float(row["map_knn"])
        for row in rows
    }
    if not values:
        return []
    tau = f"{knn.tau:g}" if knn.vote == "softmax" else ""
    # The best may be that of params.yaml: then it is outlined as the best.
    marks: dict[tuple[str, int, str], str] = {
        (knn.distance, knn.K, vote_name(knn.vote, tau)): "own"
    }
    marks[max(values, key=lambda key: values[key])] = "best"
    # One neighbour alone is far behind all others and would take up most of the colours.
    low, high = (short(100 * share) for share in np.quantile([*values.values()], [0.15, 1]))
    counts, votes = (sorted({key[place] for key in values}) for place in (1, 2))
    x = alt.X("K:O", title="neighbours K", axis=alt.Axis(orient="top", labelAngle=0))
    x = x.scale(domain=counts, paddingInner=0.03, paddingOuter=0)
    y = alt.Y(
        "vote:N", title=None, scale=alt.Scale(domain=votes, paddingInner=0.04, paddingOuter=0)
    )
    shade = alt.Scale(type="pow", exponent=1.5, domain=[low, high], range=[0.06, 1], clamp=True)
    figures = []
    for distance in dict.fromkeys(key[0] for key in values):
        cells = [
            {"K": count, "vote": vote, "value": short(100 * value), "mark": marks.get(key, "")}
            | {"note": f"{distance}, K {count}, {vote}: {100 * value:.2f} %"}
            for key, value in values.items()
            for own, count, vote in [key]
            if own == distance
        ]
        grid = alt.Chart(inline(cells)).encode(x=x, y=y, tooltip="note:N")
        heat = grid.mark_rect(color="var(--accent)", cornerRadius=3).encode(
            opacity=alt.Opacity("value:Q", scale=shade, legend=None)
        )
        dark = alt.datum.value > low + 0.73 * (high - low)
        numbers = grid.mark_text(aria=False).encode(
            text=alt.Text("value:Q", format=".1f"),
            color=alt.when(dark).then(alt.value("var(--on)")).otherwise(alt.value("var(--ink)")),
        )
        outlines = alt.Chart(inline([cell for cell in cells if cell["mark"]])).mark_rect(
            filled=False,
            strokeWidth=2.5,
            cornerRadius=4,
            stroke=alt.expr("datum.mark == 'best' ? 'var(--mlp)' : 'var(--ink)'"),
            strokeDash=alt.expr("datum.mark == 'best' ? [1, 0] : [4, 2]"),
        )
        said = f"mAP of knn on val by vote and number of neighbours, {distance} distance"
        spec = sized(
            alt.layer(heat, numbers, outlines.encode(x=x, y=y, tooltip="note:N")),
            said,
            CELL_HEIGHT * len(votes),
        )
        figures.append(Figure(f"{distance} distance", spec))
    return figures


def vote_name(vote: str, tau: str) -> str:
    """The vote with its temperature, if it has one."""
    return f"{vote} τ {float(tau):g}" if tau else vote


def line_spec(
    said: str,
    x: alt.X,
    y: alt.Y,
    series: Sequence[Series],
    *,
    filled: bool = False,
    dots: bool = False,
    behind: Sequence[alt.Chart] = (),
) -> dict[str, Any]:
    """Lines, of which the pointer reads all at once where it is nearest.

    Args:
        said: Text of a screen reader.
        x: Of the field ``x``.
        y: Of the field ``y``.
        series: Those without a point are left out.
        filled: Shade the areas below them.
        dots: Mark each point.
        behind: Further layers.
    """
    shown = [one for one in series if one.points]
    data = inline(
        [{"x": short(a), "y": short(b), "series": one.name} for one in shown for a, b in one.points]
    )
    colours = alt.Scale(
        domain=[one.name for one in shown], range=[f"var(--{one.colour})" for one in shown]
    )
    lines = alt.Chart(data)
    if filled:
        y = y.stack(False)
        lines = lines.mark_area(fillOpacity=0.16, line=True)
    else:
        lines = lines.mark_line(
            point={"size": 45, "stroke": "var(--panel)", "strokeWidth": 1} if dots else False
        )
    near = alt.selection_point(
        name="near",
        on="pointermove",
        clear="pointerout",
        encodings=["x"],
        nearest=True,
        empty=False,
    )
    cursor = alt.Chart(inline(_readings(shown)), name="cursor").mark_rule(color="var(--faint)")
    cursor = cursor.encode(
        x=x,
        opacity=alt.when(near).then(alt.value(1)).otherwise(alt.value(0)),
        tooltip="note:N",
    )
    colour = alt.Color("series:N", scale=colours, legend=None)
    layers = [*behind, lines.encode(x=x, y=y, color=colour), cursor.add_params(near)]
    return sized(alt.layer(*layers), said)


def _readings(series: Sequence[Series]) -> list[dict[str, Any]]:
    """For every x of a point the notes of all lines there, or at their nearest points."""
    places = [np.array([x for x, _ in one.points]) for one in series]
    readings = []
    for at in np.unique(np.concatenate(places)):
        notes = [
            (one.name, one.notes[int(np.abs(own - at).argmin())])
            for one, own in zip(series, places, strict=True)
        ]
        lines = [f"{name}: {note}" if len(notes) > 1 else note for name, note in notes]
        readings.append({"x": short(at), "note": "\n".join(lines)})
    return readings


def legend(series: Sequence[Series]) -> list[tuple[str, str]]:
    """Names of the lines that are drawn, with their colours."""
    return [(one.label or one.name, one.colour) for one in series if one.points]


def sized(
    chart: alt.LayerChart | alt.FacetChart, said: str, height: int = HEIGHT
) -> dict[str, Any]:
    """A chart as Vega-Lite, as wide as its place, with the text of a screen reader."""
    spec: dict[str, Any] = chart.properties(
        width="container", height=height, description=said
    ).to_dict()
    return spec


def inline(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Data that stand in the page."""
    return alt.InlineData(values=rows)


def _percent(x: Any, y: Any) -> list[tuple[float, float]]:
    return [(100 * float(a), 100 * float(b)) for a, b in zip(x, y, strict=True)]


def _ends(values: Any) -> list[float]:
    every = [*values]
    return [min(every), max(every)]


def short(value: float) -> float:
    """A number with six significant digits."""
    return float(f"{value:.6g}")
