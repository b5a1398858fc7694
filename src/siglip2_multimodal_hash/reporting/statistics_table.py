"""The statistics of a dataset as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from siglip2_multimodal_hash.reporting.text_tables import text_table

Summary = Mapping[str, Any]


def statistics_text(title: str, summary: Summary) -> str:
    """All that :func:`..datasets.statistics_summary.summarise_statistics` says, as tables."""
    counts = ", ".join(f"{name} {number:,}" for name, number in summary["images"].items())
    parts = [
        f"{title}: {counts}",
        _splits(summary["splits"]),
        _shift(summary["label_shift"]),
        _pairs(summary["co_occurrence_train"]),
        _frequencies(summary["class_frequency"]),
        "images that two splits share: "
        + ", ".join(f"{pair} {number}" for pair, number in summary["overlap"].items()),
    ]
    return "\n\n".join(parts) + "\n"


def _splits(splits: Summary) -> str:
    head = ("split", "images", "unlabelled", "labels/labelled image", "labels/image", "captions")
    return text_table(
        (*head, "words/caption", "5%", "50%", "95%"),
        (
            (
                name,
                f"{split['images']:,}",
                f"{split['unlabelled']:,}",
                _number(_labels_of_labelled(split)),
                _number(split["labels_per_image"]["mean"]),
                f"{split['captions']:,}",
                _number(split["caption_words"]["mean"]),
                *(_number(split["caption_words"].get(level), 0) for level in ("q05", "q50", "q95")),
            )
            for name, split in splits.items()
        ),
    )


def _labels_of_labelled(split: Summary) -> float | None:
    mean = split["labels_per_image"]["mean"]
    return mean * split["images"] / split["labelled"] if split["labelled"] else None


def _shift(shifts: Summary) -> str:
    rows = []
    for pair, shift in shifts.items():
        largest = ", ".join(f"{name} x{ratio:.2f}" for name, ratio in shift["ratios"])
        missing = f"; in one only: {', '.join(shift['absent'])}" if shift["absent"] else ""
        rows.append((pair, _number(shift["total_variation"], 4), (largest + missing) or "-"))
    head = ("label shift", "total variation", "largest ratios of shares of images")
    return text_table(head, rows, text=(0, 2))


def _pairs(pairs: Sequence[Sequence[Any]]) -> str:
    rows = ((f"{first} + {second}", f"{images:,}") for first, second, images in pairs)
    return text_table(("pairs in train", "images"), rows)


def _frequencies(classes: Summary) -> str:
    columns = tuple(next(iter(classes.values()))) if classes else ()
    return text_table(
        ("class", *columns),
        (
            (name, *(f"{counts[column]:,}" for column in columns))
            for name, counts in classes.items()
        ),
    )


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
