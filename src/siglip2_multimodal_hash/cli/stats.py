"""``smhash stats``: the statistics of a dataset as tables."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.cli.commands import Commands, add_format, new_command, print_json, show
from siglip2_multimodal_hash.document import Part, Table
from siglip2_multimodal_hash.files import read_output
from siglip2_multimodal_hash.params import load_params

DATA_FOLDER = Path("data")

Summary = Mapping[str, Any]


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "stats", stats)
    add_format(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def stats(arguments: argparse.Namespace) -> None:
    """Describe the dataset: classes, labels, captions, differences between splits."""
    # Other commands need not wait for pandas.
    from siglip2_multimodal_hash.datasets.statistics import summarise_statistics
    from siglip2_multimodal_hash.experiments.provenance import workspace_footer

    params = load_params()
    name = params.dataset.name
    path = DATA_FOLDER / name / "statistics.json"
    with read_output(path, "run `dvc repro build_dataset_index`") as statistics:
        summary = summarise_statistics(statistics)
        parts = statistics_parts(name, summary)
    if arguments.json:
        print_json(summary)
    else:
        show([*parts, workspace_footer(params, head=False)], arguments.format)


def statistics_parts(title: str, summary: Summary) -> list[Part]:
    """The tables of :func:`..datasets.statistics.summarise_statistics`."""
    counts = ", ".join(f"{name} {number:,}" for name, number in summary["images"].items())
    return [
        f"{title}: {counts}",
        _splits(summary["splits"]),
        _shift(summary["label_shift"]),
        _pairs(summary["co_occurrence_train"]),
        _frequencies(summary["class_frequency"]),
        "images that two splits share: "
        + ", ".join(f"{pair} {number}" for pair, number in summary["overlap"].items()),
    ]


def _splits(splits: Summary) -> Table:
    head = ("split", "images", "no label", "labels/labelled", "labels/image", "captions")
    return Table(
        (*head, "words", "5%", "50%", "95%"),
        [
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
        ],
    )


def _labels_of_labelled(split: Summary) -> float | None:
    mean = split["labels_per_image"]["mean"]
    return mean * split["images"] / split["labelled"] if split["labelled"] else None


def _shift(shifts: Summary) -> Table:
    rows = []
    for pair, shift in shifts.items():
        largest = ", ".join(f"{name} x{ratio:.2f}" for name, ratio in shift["ratios"])
        missing = f"; in one only: {', '.join(shift['absent'])}" if shift["absent"] else ""
        rows.append((pair, _number(shift["total_variation"], 4), (largest + missing) or "-"))
    head = ("label shift", "total variation", "largest ratios of shares of images")
    return Table(head, rows, text=(0, 2))


def _pairs(found: Sequence[Sequence[Any]]) -> Table:
    rows = [(f"{first} + {second}", f"{images:,}") for first, second, images in found]
    return Table(("pairs in train", "images"), rows)


def _frequencies(classes: Summary) -> Table:
    columns = tuple(next(iter(classes.values()))) if classes else ()
    return Table(
        ("class", *columns),
        [
            (name, *(f"{counts[column]:,}" for column in columns))
            for name, counts in classes.items()
        ],
    )


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
