"""Data of the plots: small CSV files of one row per point, for ``dvc plots``, and a picture."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.datasets.statistics import class_ratios
from siglip2_multimodal_hash.evaluation.average_precision import average_precisions, micro_curve
from siglip2_multimodal_hash.evaluation.code_quality import bit_entropies, bit_means
from siglip2_multimodal_hash.evaluation.store import StoredEvaluation
from siglip2_multimodal_hash.files import replacing
from siglip2_multimodal_hash.params import PREDICTORS
from siglip2_multimodal_hash.reporting.pictures import draw_overview
from siglip2_multimodal_hash.reporting.tables import BASELINE_COLUMNS, in_order
from siglip2_multimodal_hash.retrieval.store import HeadCodes

CURVE_POINTS = 100
MOST_LABELS = 6
CO_OCCURRING = 20

Row = Sequence[Any]


def write_plots(
    folder: Path,
    *,
    dataset: DatasetIndex,
    statistics: dict[str, Any],
    codes: HeadCodes,
    evaluation: StoredEvaluation,
    history: list[dict[str, Any]],
    errors: dict[str, Any],
    baselines: dict[str, Any],
) -> None:
    """Write the data of every plot into ``folder``.

    Args:
        folder: Made where it is not there.
        dataset: The index.
        statistics: Of the dataset; see :mod:`..datasets.statistics`.
        codes: Of every image.
        evaluation: Of the head.
        history: One record per epoch; see :func:`..training.loop.fit`.
        errors: See :func:`..evaluation.error_analysis.analyse_errors`.
        baselines: See :func:`.tables.baseline_metrics`.
    """
    write_rows(
        folder / "baselines.csv",
        ("row", *BASELINE_COLUMNS),
        (
            (name, *(baselines[name].get(column, "") for column in BASELINE_COLUMNS))
            for name in in_order(baselines)
        ),
    )
    labels = dataset.labels()[dataset.rows("test")]
    scores = evaluation.predictions["test"].scores
    write_training(folder, history)
    for name in PREDICTORS:
        curve = micro_curve(scores[name], labels, CURVE_POINTS)
        points = zip(curve.recall, curve.precision, strict=True)
        write_rows(folder / f"precision_recall_{name}.csv", ("recall", "precision"), points)
    retrieval = evaluation.curves["test"]
    write_rows(
        folder / "retrieval_precision_recall.csv",
        ("recall", "precision"),
        zip(retrieval["recall"], retrieval["precision"], strict=True),
    )
    write_rows(
        folder / "class_average_precision.csv",
        ("category", "average_precision"),
        class_average_precisions(dataset.category_names, scores["knn"], labels),
    )
    threshold = evaluation.figures["knn"]["threshold"]["tuned"]
    write_rows(
        folder / "label_counts.csv",
        ("labelled", "predicted"),
        label_counts(labels, scores["knn"] >= threshold),
    )
    write_rows(
        folder / "co_occurrence.csv",
        ("category", "with", "images"),
        co_occurrences(statistics["categories"], statistics["co_occurrence_train"]),
    )
    for split in ("train", "val", "test"):
        words = statistics["splits"][split]["caption_words"]
        write_rows(folder / f"caption_words_{split}.csv", ("share", "words"), word_quantiles(words))
    write_rows(folder / "label_shift.csv", ("category", "ratio"), label_shifts(statistics))
    write_rows(folder / "code_bits.csv", ("bit", "mean", "entropy"), code_bits(codes, dataset))
    groups = errors["groups"]
    write_rows(
        folder / "f1_by_label_count.csv",
        ("labels", *PREDICTORS),
        (
            # "6 or more" stands at 6.
            (group["group"].split()[0], *(group[name]["F1"] for name in PREDICTORS))
            for group in groups["label_count"]
        ),
    )
    write_rows(
        folder / "recall_by_object_size.csv",
        ("size", "recall"),
        ((group["group"], group["knn"]["recall"]) for group in groups["object_size"]),
    )
    draw_overview(folder / "overview.png", history, evaluation, labels)


def write_training(folder: Path, history: list[dict[str, Any]]) -> None:
    """Losses of train and val in files of their own, so that one picture can overlay them."""
    for split in ("train", "val"):
        # Not every epoch is validated: the first record may lack what a later one has.
        keys = dict.fromkeys(key for record in history for key in record)
        parts = [key for key in keys if key.startswith(f"{split}_")]
        validated = [record for record in history if all(part in record for part in parts)]
        header = ["epoch", *(part.removeprefix(f"{split}_") for part in parts)]
        rows = ([record["epoch"], *(record[part] for part in parts)] for record in validated)
        write_rows(folder / f"training_{split}.csv", header, rows)


def class_average_precisions(
    names: Sequence[str], scores: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]
) -> list[Row]:
    """AP by class, best first; classes without a positive are left out."""
    values = average_precisions(scores, labels)
    pairs = [(name, ap) for name, ap in zip(names, values, strict=True) if not np.isnan(ap)]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def label_counts(labels: npt.NDArray[np.uint8], decided: npt.NDArray[np.bool_]) -> list[Row]:
    """Number of labels of each image, true and predicted: rows of a confusion matrix.

    Args:
        labels: uint8 [Q, C].
        decided: bool [Q, C].
    """
    counts = (labels.sum(axis=1), decided.sum(axis=1))
    true, predicted = (np.minimum(count, MOST_LABELS) for count in counts)
    return [(_count_name(t), _count_name(p)) for t, p in zip(true, predicted, strict=True)]


def co_occurrences(names: Sequence[str], counts: Sequence[Sequence[int]]) -> list[Row]:
    """Images that show two categories, for pairs of the most frequent ones."""
    frequencies = [row[column] for column, row in enumerate(counts)]
    order = sorted(range(len(names)), key=lambda c: (-frequencies[c], c))[:CO_OCCURRING]
    return [(names[a], names[b], counts[a][b]) for a in order for b in order if a != b]


def word_quantiles(words: dict[str, float | None]) -> list[Row]:
    """Share of the captions, and the most words that so many of them have."""
    levels = ((key.removeprefix("q"), value) for key, value in words.items() if key != "mean")
    return [*sorted((int(level) / 100, value) for level, value in levels if value is not None)]


def label_shifts(statistics: dict[str, Any]) -> list[Row]:
    """Ratio of each class's share of test to its share of train, largest first."""
    train, test = (statistics["splits"][split] for split in ("train", "test"))
    ratios = class_ratios(statistics["categories"], train, test)
    return [*sorted(ratios, key=lambda row: (-row[1], row[0]))]


def code_bits(codes: HeadCodes, dataset: DatasetIndex) -> list[Row]:
    """Mean and entropy of each bit over the database; none where there is no hash layer."""
    if codes.packed is None:
        return []
    packed = codes.packed[dataset.rows("database")]
    means, entropies = bit_means(packed), bit_entropies(packed)
    return [(bit, mean, entropies[bit]) for bit, mean in enumerate(means)]


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    """Write one CSV; floats in six significant digits."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(f"{x:.6g}" if isinstance(x, float | np.floating) else x for x in row)


def _count_name(count: int) -> str:
    return f"{count}+" if count == MOST_LABELS else str(count)
