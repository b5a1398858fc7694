"""The charts of the page: training, precision and recall, classes, distances, calibration."""

import html
from collections.abc import Sequence

import numpy as np

from siglip2_multimodal_hash.evaluation.average_precision import average_precisions, micro_curve
from siglip2_multimodal_hash.evaluation.distance_distribution import (
    cosine_distribution,
    hamming_distribution,
)
from siglip2_multimodal_hash.evaluation.reliability import reliability
from siglip2_multimodal_hash.reporting.web.inputs import ReportInputs
from siglip2_multimodal_hash.reporting.web.lines import Series, line_chart
from siglip2_multimodal_hash.reporting.web.shapes import Dot, scatter
from siglip2_multimodal_hash.reporting.web.svg import element, horizontal, ticks, vertical

NAMED_CLASSES = 6
PER_CENT = [(share / 100, f"{share}") for share in (0, 20, 40, 60, 80, 100)]
# Most tag scores are near 0: a cube root spreads them out, and the diagonal stays straight.
ROOT_MARKS = [(share, f"{100 * share:g}") for share in (0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1)]


def chart(title: str, drawn: str, note: str = "") -> str:
    """A chart as a figure: its title above, what it means below."""
    said = element("p", html.escape(note), class_="note") if note else ""
    return element("figure", element("figcaption", html.escape(title)) + drawn + said)


def training_charts(inputs: ReportInputs) -> list[str]:
    """Loss of train and val, and mAP on val, by epoch."""
    losses = {
        split: [(float(one["epoch"]), float(one["total"])) for one in records if "total" in one]
        for split, records in inputs.training.items()
    }
    maps = [
        (float(one["epoch"]), float(one["mAP"])) for one in inputs.training["val"] if "mAP" in one
    ]
    values = [loss for points in losses.values() for _, loss in points]
    if not values:
        return []
    epochs = [epoch for points in losses.values() for epoch, _ in points]
    x = horizontal("epoch", min(epochs), max(epochs))
    room = 0.05 * (max(values) - min(values)) or 1.0
    drawn = [
        chart(
            "Loss by epoch",
            line_chart(
                "Loss of train and val by epoch",
                x,
                vertical("loss", min(values) - room, max(values) + room),
                [
                    Series(split, colour, points, [f"epoch {e:g}: {v:.4f}" for e, v in points])
                    for (split, points), colour in zip(losses.items(), ("one", "two"), strict=True)
                ],
            ),
        )
    ]
    if maps:
        best = max(maps, key=lambda point: point[1])
        top = max(value for _, value in maps)
        low = min(value for _, value in maps)
        marks = [(value, f"{100 * value:g}") for value in ticks(low, top)]
        series = Series("val", "two", maps, [f"epoch {e:g}: {100 * v:.1f} %" for e, v in maps])
        drawn.append(
            chart(
                "mAP on val by epoch",
                line_chart(
                    "mAP on val by epoch",
                    x,
                    vertical("mAP, %", low, top + 0.05 * (top - low), marks),
                    [series],
                    marked=(best[0], f"best: epoch {best[0]:g}, {100 * best[1]:.1f} %"),
                ),
            )
        )
    return drawn


def precision_recall_charts(inputs: ReportInputs) -> list[str]:
    """Precision and recall of all tag decisions by predictor, and of retrieval by distance."""
    series = []
    for name, own in inputs.scores.items():
        curve = micro_curve(own, inputs.labels, 100)
        notes = [
            f"recall {100 * r:.1f}, precision {100 * p:.1f} from score {t:.3f}"
            for r, p, t in zip(curve.recall, curve.precision, curve.thresholds, strict=True)
        ]
        points = [*zip(curve.recall.tolist(), curve.precision.tolist(), strict=True)]
        series.append(Series(name, name, points, notes))
    x, y = horizontal("recall, %", 0, 1, PER_CENT), vertical("precision, %", 0, 1, PER_CENT)
    found = inputs.evaluation.curves["test"]
    points = [*zip(found["recall"], found["precision"], strict=True)]
    packed = inputs.codes.packed
    notes = [
        f"{_radius(distance, packed is None, len(found['distance']))}: "
        f"recall {100 * r:.1f}, precision {100 * p:.1f}"
        for distance, (r, p) in zip(found["distance"], points, strict=True)
    ]
    codes = Series("codes", "two", points, notes)
    return [
        chart(
            "Tags: precision and recall",
            line_chart("Precision and recall of tags by predictor, on test", x, y, series),
            "All tag decisions pooled, the most confident first.",
        ),
        chart(
            "Retrieval: precision and recall",
            line_chart("Precision and recall of retrieval by distance, on test", x, y, [codes]),
            "Mean over the queries of test; items that share a label are relevant.",
        ),
    ]


def _radius(distance: float, is_float: bool, count: int) -> str:
    # The curve of codes has one point per distance, 0 to bits, as a share of the bits.
    return f"distance ≤ {distance:.3f}" if is_float else f"distance ≤ {distance * (count - 1):.0f}"


def class_chart(inputs: ReportInputs) -> str:
    """AP of each class over the number of its test images."""
    labels, names = inputs.labels, inputs.dataset.category_names
    name, scores = next(iter(inputs.scores.items()))
    values, support = average_precisions(scores, labels), labels.sum(axis=0)
    shown = np.flatnonzero(support)
    dots = {
        c: Dot(
            float(support[c]),
            float(values[c]),
            f"{names[c]}: AP {100 * values[c]:.1f}, {support[c]:,} images",
        )
        for c in shown
    }
    lowest = sorted(shown, key=lambda c: (values[c], c))[:NAMED_CLASSES]
    low, high = float(support[shown].min()), float(support[shown].max())
    drawn = scatter(
        f"AP of {name} by class over its number of images",
        horizontal("images with the class, test", low * 0.9, high * 1.1, decades(low, high), "log"),
        vertical(f"AP of {name}, %", 0, 1, PER_CENT),
        [*dots.values()],
        [(dots[c], names[c]) for c in lowest],
    )
    return chart("AP by class and support", drawn, "One dot per class.")


def decades(low: float, high: float) -> list[tuple[float, str]]:
    """Marks at 1, 2 and 5 times the powers of 10 between two numbers, thinned where many."""
    steps = (1, 2, 5) if high < 200 * low else (1,)
    marks = [step * 10.0**power for power in range(-1, 8) for step in steps]
    return [(mark, f"{mark:,g}") for mark in marks if 0.9 * low <= mark <= 1.1 * high]


def distance_chart(inputs: ReportInputs) -> str:
    """Distances of relevant and of irrelevant pairs of a test query and a database item."""
    dataset, labels = inputs.dataset, inputs.dataset.labels()
    test, database = dataset.rows("test"), dataset.rows("database")
    codes = inputs.codes.searchable()
    count = cosine_distribution if inputs.codes.packed is None else hamming_distribution
    pairs = count(codes[test], codes[database], labels[test], labels[database])
    sides = [("share a label", "knn", pairs.relevant), ("share none", "mlp", pairs.irrelevant)]
    series = []
    for name, colour, counts in sides:
        shares = counts / max(counts.sum(), 1)
        points = [*zip(pairs.distances.tolist(), shares.tolist(), strict=True)]
        notes = [f"{100 * share:.2f} % at {at:.3g}" for at, share in points]
        mean = float(shares @ pairs.distances)
        series.append(Series(f"{name}, mean {mean:.3g}", colour, points, notes, filled=True))
    top = max(share for one in series for _, share in one.points)
    marks = [(value, f"{100 * value:g}") for value in ticks(0, top)]
    is_float = inputs.codes.packed is None
    x = horizontal(
        "(1 − cosine) / 2" if is_float else "Hamming distance",
        0,
        1 if is_float else float(pairs.distances[-1]),
    )
    drawn = line_chart(
        "Share of pairs by distance, relevant against irrelevant",
        x,
        vertical("share of pairs, %", 0, 1.05 * top, marks),
        series,
    )
    return chart(
        "Distance of relevant and irrelevant pairs",
        drawn,
        f"All {len(test):,} × {len(database):,} pairs of a test query and a database item.",
    )


def calibration_charts(inputs: ReportInputs) -> str:
    """Reliability of every predictor, in bins of equal mass."""
    series = []
    for name, own in inputs.scores.items():
        points = reliability(own, inputs.labels)
        notes = [
            f"score {100 * score:.2f} %, right {100 * share:.2f} % of {size:,}"
            for score, share, size in zip(*points, strict=True)
        ]
        pairs = [*zip(points.scores.tolist(), points.shares.tolist(), strict=True)]
        error = inputs.evaluation.figures[name]["test"]["ece"]
        series.append(Series(f"{name}, ECE {100 * error:.2f} %", name, pairs, notes, dots=True))
    x = horizontal("mean score, %", 0, 1, ROOT_MARKS, "root")
    y = vertical("share correct, %", 0, 1, ROOT_MARKS, "root")
    return chart(
        "Calibration",
        line_chart("Reliability diagram of the predictors, on test", x, y, series, diagonal=True),
        "15 bins of equally many decisions; on the diagonal a score equals the share of correct "
        "tags. Cube-root scale on both axes.",
    )


def grid(figures: Sequence[str]) -> str:
    """Charts side by side, or below each other on a narrow screen."""
    return element("div", "".join(figures), class_="charts")
