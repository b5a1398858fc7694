"""Tables of the page, and the figures at its head, as the templates show them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from siglip2_multimodal_hash.datasets.index import EvaluationSplit
from siglip2_multimodal_hash.evaluation.average_precision import average_precisions
from siglip2_multimodal_hash.evaluation.significance import Difference
from siglip2_multimodal_hash.params import PREDICTORS
from siglip2_multimodal_hash.reporting.tables import BASELINE_COLUMNS, ERROR_GROUPS, Json, in_order
from siglip2_multimodal_hash.reporting.web.charts import vote_name
from siglip2_multimodal_hash.reporting.web.inputs import Record, ReportInputs

SPLITS: tuple[EvaluationSplit, ...] = ("train", "val", "test", "database")
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
SAID = {
    "knn": "neighbours' vote",
    "mlp": "classifier on the code",
    "hybrid": "vote and classifier",
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
WORST_CLASSES = 15
# Of a table that fits a phone as it is.
MOST_COLUMNS = 6


class Cell(NamedTuple):
    """A cell: its text, the value that its column is sorted by, and the colour of its bar."""

    text: str
    value: float | None = None
    colour: str = ""


class Table(NamedTuple):
    """A table: what it shows, its columns, its rows by name, classes of page.css, and a note.

    ``wide`` lays each row out over several lines of a phone, with ``lines`` a line for each cell;
    ``terms`` explains what the rows are called.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    kind: str = ""
    note: str = ""


def text_rows(lines: Iterable[Sequence[str]]) -> list[tuple[str, list[Cell]]]:
    """Rows of text alone, the first of each line its name."""
    return [(name, [Cell(text) for text in cells]) for name, *cells in lines]


class Tile(NamedTuple):
    """A figure from 0 to 1, its interval, and by name those that it is to be compared with."""

    name: str
    said: str
    value: float
    interval: Difference | None
    marks: Sequence[tuple[str, float]]
    colour: str


def facts(inputs: ReportInputs) -> dict[str, str]:
    """The dataset, the codes and the vote; whether the dataset is a part of another."""
    dataset, knn = inputs.dataset, inputs.knn
    count = len(dataset.frame)
    packed = inputs.codes.packed
    own_database = {*dataset.rows("database")} != {*dataset.rows("train")}
    splits = [
        f"{len(dataset.rows(split)):,} {split}"
        for split in SPLITS
        if split != "database" or own_database
    ]
    tau = f", τ\u00a0{knn.tau:g}" if knn.vote == "softmax" else ""
    part = {}
    if inputs.whole is not None and count < inputs.whole:
        part["part of COCO"] = f"{count:,} of {inputs.whole:,}"
    if bare := dataset.uncaptioned():
        part["captions"] = f"{bare:,} of {count:,} images have none, only the image"
    return {
        "images": " · ".join(splits),
        **part,
        "classes": str(len(dataset.category_names)),
        "codes": "float vectors" if packed is None else f"{8 * packed.shape[1]} bits",
        "vote": f"{knn.K} neighbours by {knn.distance} distance, {knn.vote}{tau}",
    }


def tiles(inputs: ReportInputs) -> list[Tile]:
    """The mAP of each predictor and of retrieval, each with what it is to be compared with."""
    rows, own = inputs.baselines, inputs.baselines["fused"]
    # Chance, zero-shot, and classifiers on raw embeddings, which no code is expected to beat.
    columns = {
        "zero_shot": "zero_shot",
        "chance": "knn",
        "mlp": "mlp",
        "logistic_regression": "mlp",
    }
    made = [
        Tile(
            name,
            f"tag mAP, {SAID.get(name, name)}",
            own[name],
            inputs.intervals.get(name),
            _marks(rows, columns | {"image_only": name}),
            name,
        )
        for name in inputs.scores
        if name in own
    ]
    marks = _marks(rows, dict.fromkeys(("chance", "lsh", "itq", "pq", "float"), "retrieval"))
    name = "retrieval"
    interval = inputs.intervals.get(name)
    return [*made, Tile(name, "mAP@all of the codes", own[name], interval, marks, "two")]


def _marks(rows: Json, columns: Mapping[str, str]) -> list[tuple[str, float]]:
    found = [
        (row_name(name), rows[name][column])
        for name, column in columns.items()
        if column in rows.get(name, {})
    ]
    return sorted(found, key=lambda mark: mark[1])


def row_name(name: str) -> str:
    """A baseline's name for people."""
    return NAMES.get(name, name.replace("_", " "))


def baseline_table(baselines: Json) -> Table:
    """MAP of this head, its variants and the baselines.

    The best of a column is not set off: of the other rows no result of each image is kept, so
    whether a difference stands is not known.
    """
    columns = [c for c in BASELINE_COLUMNS if any(c in row for row in baselines.values())]
    rows = []
    for name in in_order(baselines):
        row = baselines[name]
        cells = [
            _share(row[c], c if c in PREDICTORS else "two") if c in row else Cell("")
            for c in columns
        ]
        rows.append((row_name(name), cells))
    head = ["", *(column.replace("_", "-") for column in columns)]
    note = (
        "No row is in bold: whether two rows differ by more than the choice of test images takes "
        "the results of both for each image; for two experiments, smhash compare has them."
    )
    return Table("mAP on test, in percent", head, rows, note=note)


def figures_table(inputs: ReportInputs) -> Table:
    """Figures of the predictors of tags, side by side."""
    figures = inputs.evaluation.figures
    shown = {name: figures[name]["test"] | figures[name]["test"]["tuned_threshold"]
             for name in inputs.scores}  # fmt: skip
    n = inputs.knn.top_n_tags
    names = {**FIGURES, f"P@{n}": f"P@{n}", f"R@{n}": f"R@{n}"}
    rows = [
        (title, [_share(own.get(key)) for own in shown.values()]) for key, title in names.items()
    ]
    thresholds = [Cell(f"{figures[name]['threshold']['tuned']:.3f}") for name in shown]
    rows.append(("threshold, tuned on val", thresholds))
    return Table(f"Tags of {len(inputs.labels):,} test images, in percent", ["", *shown], rows)


def retrieval_table(inputs: ReportInputs) -> Table:
    """Figures of retrieval, and what the codes are like."""
    figures = inputs.evaluation.figures
    own, codes = figures["retrieval"]["test"], figures.get("codes", {})
    shown = {name: own[name] for name in RETRIEVAL if name in own}
    for key, title in (("bit_entropy", "entropy of a bit"), ("distinct_share", "distinct codes")):
        if key in codes:
            shown[title] = codes[key]
    rows = [(name, [_share(value)]) for name, value in shown.items()]
    queries = own["queries"] - own["queries_without_relevant"]
    return Table(f"Retrieval by {queries:,} test images, in percent", ["", "codes"], rows)


def class_table(inputs: ReportInputs) -> Table:
    """AP of every class with its images, sortable; classes without a positive are left out."""
    labels, names = inputs.labels, inputs.dataset.category_names
    values = {name: average_precisions(own, labels) for name, own in inputs.scores.items()}
    first = next(iter(values))
    support = labels.sum(axis=0)
    order = [c for c in range(len(names)) if support[c]]
    order.sort(key=lambda c: (-values[first][c], names[c]))
    rows = [
        (
            names[c],
            [
                Cell(f"{support[c]:,}", int(support[c])),
                *(_share(float(own[c]), name) for name, own in values.items()),
            ],
        )
        for c in order
    ]
    head = ["class", "images", *(f"AP {name}" for name in values)]
    return Table("AP by class on test, in percent", head, rows, "sortable")


def best_mix(rows: Sequence[Record]) -> str:
    """The best mix of vote and classifier on val; empty where none was tried.

    Args:
        rows: Of ``knn_grid.csv``.
    """
    mixed = [row for row in rows if row.get("map_hybrid")]
    if not mixed:
        return ""
    top = max(mixed, key=lambda row: float(row["map_hybrid"]))
    return (
        f"With the classifier mixed in, the best on val is {100 * float(top['map_hybrid']):.1f}"
        f" %: {top['distance']} distance, K {top['K']}, {vote_name(top['vote'], top['tau'])}, "
        f"weight {top['hybrid_weight']} of the vote."
    )


def error_tables(errors: Json | None) -> dict[str, list[Table]]:
    """Groups of images and of labels, and the classes with the lowest AP with their confusions.

    Args:
        errors: ``errors.json``: ``groups`` by kind, each with ``group``, ``images`` or ``labels``
            and the figures of every predictor; ``classes`` with ``category``, ``images``, and by
            predictor ``AP`` and ``confused``.

    Returns:
        By what they count, images or labels, and those of the classes; nothing without errors.
    """
    if not errors:
        return {}
    made: dict[str, list[Table]] = {"images": [], "labels": [], "classes": []}
    for kind, title in ERROR_GROUPS.items():
        if groups := errors.get("groups", {}).get(kind):
            unit = "labels" if "labels" in groups[0] else "images"
            made[unit].append(_groups(title, unit, groups))
    if errors.get("classes"):
        made["classes"].append(_worst_classes(errors["classes"]))
    return made


def _groups(title: str, unit: str, groups: Sequence[Json]) -> Table:
    predictors = [name for name in PREDICTORS if name in groups[0]]
    columns = [(figure, name) for figure in groups[0][predictors[0]] for name in predictors]
    rows = [
        (
            str(group["group"]),
            [
                Cell(f"{group[unit]:,}"),
                *(_share(group[name][figure], name) for figure, name in columns),
            ],
        )
        for group in groups
    ]
    head = ["", unit, *(f"{figure} {name}" for figure, name in columns)]
    return Table(title, head, rows, "wide" if len(head) > MOST_COLUMNS else "")


def _worst_classes(classes: Sequence[Json]) -> Table:
    predictors = [name for name in PREDICTORS if name in classes[0]["AP"]]
    first = predictors[0]
    known = [one for one in classes if one["AP"][first] is not None]
    known.sort(key=lambda one: (one["AP"][first], one["category"]))
    rows = [
        (
            one["category"],
            [
                Cell(f"{one['images']:,}"),
                *(_share(one["AP"][name], name) for name in predictors),
                Cell(_confused(one["confused"][first])),
            ],
        )
        for one in known[:WORST_CLASSES]
    ]
    head = ["", "images", *(f"AP {name}" for name in predictors), f"wrongly tagged by {first}"]
    return Table(f"The classes with the lowest AP of {first}", head, rows, "wide last-is-text")


def _share(value: float | None, colour: str = "") -> Cell:
    """A share in percent with one decimal; a dash where there is none."""
    return Cell("–" if value is None else f"{100 * value:.1f}", value, colour)


def _confused(classes: Sequence[Any]) -> str:
    return ", ".join(f"{one['category']} {one['images']}" for one in classes) or "–"
