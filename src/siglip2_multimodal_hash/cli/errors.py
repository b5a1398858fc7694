"""``smhash errors``: the error analysis as tables."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from siglip2_multimodal_hash.cli.commands import Commands, new_command, print_json
from siglip2_multimodal_hash.files import read_output
from siglip2_multimodal_hash.params import PREDICTORS, load_params
from siglip2_multimodal_hash.reporting.tables import REMAKE, details_file
from siglip2_multimodal_hash.reporting.text_tables import text_table

TITLES = {
    "label_count": "by number of labels",
    "smallest_object": "by the smallest object's share of the image",
    "median_object": "by the median object's share of the image",
    "object_size": "labels by the share of the image of their largest object",
    "caption": "labels by whether the caption names the category",
}

_WORST = 10
_TEXT = ("wrongly tagged", "true", "predicted")  # columns

Errors = Mapping[str, Any]
Table = tuple[str, tuple[str, ...], Sequence[tuple[str, ...]]]


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "errors", errors)
    parser.add_argument(
        "--predictor",
        choices=PREDICTORS,
        default="knn",
        help="predictor of the tags (default: %(default)s)",
    )
    parser.add_argument("--classes", type=int, metavar="N", help="only the N classes of lowest AP")
    parser.add_argument(
        "--json", action="store_true", help="print everything as JSON instead of tables"
    )


def errors(arguments: argparse.Namespace) -> None:
    """Show the tagging errors on test by class, image, object size and caption."""
    params = load_params()
    path = details_file(params.dataset.name, params.backbone.name, "errors")
    with read_output(path, REMAKE) as found:
        text = errors_text(found, arguments.predictor, arguments.classes)
    if arguments.json:
        print_json(found)
    else:
        print(text, end="")


def errors_text(analysis: Errors, predictor: str, classes: int | None = None) -> str:
    """The analysis of one predictor as tables, figures in percent.

    Args:
        analysis: See :func:`..evaluation.error_analysis.analyse_errors`.
        predictor: ``knn``, ``mlp`` or ``hybrid``.
        classes: The worst so many; all of them otherwise.
    """
    parts = [f"{predictor}: {analysis['images']:,} test images"]
    tables = [_class_table(analysis, predictor, classes), *_group_tables(analysis)]
    tables.append(_worst_table(analysis, predictor))
    for title, head, rows in tables:
        text = {0, *(place for place, name in enumerate(head) if name in _TEXT)}
        parts.append(f"{title}\n{text_table(head, rows, text=text)}")
    return "\n\n".join(parts) + "\n"


def _class_table(analysis: Errors, predictor: str, most: int | None = None) -> Table:
    """Classes by AP, the lowest first, with what they are confused with."""
    known = [one for one in analysis["classes"] if one["AP"][predictor] is not None]
    known.sort(key=lambda one: (one["AP"][predictor], one["category"]))
    rows = [
        (
            one["category"],
            str(one["images"]),
            *(_percent(one["AP"][name]) for name in PREDICTORS),
            _confused(one["confused"][predictor]),
        )
        for one in known[:most]
    ]
    head = ("class", "images", *(f"AP {name}" for name in PREDICTORS), "wrongly tagged")
    return f"classes, the lowest AP of {predictor} first", head, rows


def _group_tables(analysis: Errors) -> Iterable[Table]:
    """Each grouping that has a group, with the figures of every predictor."""
    for key, title in TITLES.items():
        groups: Sequence[Errors] = analysis["groups"][key]
        if not groups:
            continue
        unit = "labels" if "labels" in groups[0] else "images"
        figures = list(groups[0][PREDICTORS[0]])
        head = (
            "group",
            unit,
            *(f"{figure} {name}" for figure in figures for name in PREDICTORS),
        )
        rows = [
            (
                str(group["group"]),
                str(group[unit]),
                *(_percent(group[name][figure]) for figure in figures for name in PREDICTORS),
            )
            for group in groups
        ]
        yield title, head, rows


def _worst_table(analysis: Errors, predictor: str) -> Table:
    """The images with the lowest AP of their tags."""
    rows = [
        (
            str(one["image_id"]),
            _percent(one["AP"]),
            _percent(one["F1"]),
            ", ".join(one["true"]),
            ", ".join(one["predicted"]) or "-",
        )
        for one in analysis["worst"][predictor][:_WORST]
    ]
    head = ("image id", "AP", "F1", "true", "predicted")
    return f"images whose labels {predictor} ranks lowest", head, rows


def _confused(classes: Sequence[Errors]) -> str:
    return ", ".join(f"{one['category']} {one['images']}" for one in classes) or "-"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
