"""``smhash errors``: the error analysis as tables."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from siglip2_multimodal_hash.cli.commands import Commands, add_format, new_command, print_json, show
from siglip2_multimodal_hash.document import Part, Table
from siglip2_multimodal_hash.files import read_output
from siglip2_multimodal_hash.params import PREDICTORS, load_params
from siglip2_multimodal_hash.reporting.tables import ERROR_GROUPS, REMAKE, details_file

_CLASSES, _WORST = 10, 5
_GROUPS = ("label_count", "object_size", "caption")

Errors = Mapping[str, Any]


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "errors", errors)
    parser.add_argument(
        "--predictor",
        choices=PREDICTORS,
        default="knn",
        help="predictor of the tags (default: %(default)s)",
    )
    parser.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help=f"show the N classes of lowest AP (default: {_CLASSES})",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="show every class, every grouping and all the worst images",
    )
    add_format(parser)
    parser.add_argument(
        "--json", action="store_true", help="print everything as JSON instead of tables"
    )


def errors(arguments: argparse.Namespace) -> None:
    """Show the tagging errors on test by class, image, object size and caption."""
    params = load_params()
    path = details_file(params.dataset.name, params.backbone.name, "errors")
    with read_output(path, REMAKE) as found:
        parts = errors_parts(
            found, arguments.predictor, arguments.classes, everything=arguments.all
        )
        images = int(found["images"])
    if arguments.json:
        print_json(found)
        return
    # Other formats need not wait for what this loads.
    from siglip2_multimodal_hash.experiments.provenance import workspace_footer

    show([*parts, workspace_footer(params, images)], arguments.format)


def errors_parts(
    analysis: Errors, predictor: str, classes: int | None = None, *, everything: bool = False
) -> list[Part]:
    """The analysis of one predictor as tables, figures in percent.

    Args:
        analysis: See :func:`..evaluation.error_analysis.analyse_errors`.
        predictor: ``knn``, ``mlp`` or ``hybrid``.
        classes: The worst so many.
        everything: All classes, if their number is not given, groupings and images that there are.
    """
    known = [one for one in analysis["classes"] if one["AP"][predictor] is not None]
    most = len(known) if everything else _CLASSES
    most = most if classes is None else classes
    parts: list[Part] = [
        f"{predictor}: {analysis['images']:,} test images, percent",
        _class_table(known, predictor, most),
        *_group_tables(analysis, tuple(ERROR_GROUPS) if everything else _GROUPS),
        _worst_table(analysis["worst"][predictor], predictor, None if everything else _WORST),
    ]
    if not everything:
        left = f"{most} of {len(known)} classes" if most < len(known) else ""
        parts.append(
            f"Shown are {left + ', ' if left else ''}{len(_GROUPS)} of {len(ERROR_GROUPS)} "
            f"groupings and the {_WORST} worst images: --all shows all."
        )
    return parts


def _class_table(known: Sequence[Errors], predictor: str, most: int) -> Table:
    """Classes by AP, the lowest first, with what they are confused with."""
    ordered = sorted(known, key=lambda one: (one["AP"][predictor], one["category"]))
    rows = [
        (
            one["category"],
            str(one["images"]),
            *(_percent(one["AP"][name]) for name in PREDICTORS),
            _confused(one["confused"][predictor]),
        )
        for one in ordered[:most]
    ]
    head = ("class", "images", *(f"AP {name}" for name in PREDICTORS), "wrongly tagged")
    title = f"classes, the lowest AP of {predictor} first"
    return Table(head, rows, (0, len(head) - 1), title)


def _group_tables(analysis: Errors, keys: Iterable[str]) -> Iterable[Table]:
    """Each of some groupings that has a group, with the figures of every predictor."""
    for key in keys:
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
        yield Table(head, rows, title=ERROR_GROUPS[key])


def _worst_table(images: Sequence[Errors], predictor: str, most: int | None) -> Table:
    """The images with the lowest AP of their tags."""
    rows = [
        (
            str(one["image_id"]),
            _percent(one["AP"]),
            _percent(one["F1"]),
            ", ".join(one["true"]),
            ", ".join(one["predicted"]) or "-",
        )
        for one in images[:most]
    ]
    head = ("image id", "AP", "F1", "true", "predicted")
    return Table(head, rows, (0, 3, 4), f"images whose labels {predictor} ranks lowest")


def _confused(classes: Sequence[Errors]) -> str:
    return ", ".join(f"{one['category']} {one['images']}" for one in classes) or "-"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
