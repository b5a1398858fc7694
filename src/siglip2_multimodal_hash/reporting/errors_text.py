"""The error analysis for people: tables of a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from siglip2_multimodal_hash.params import PREDICTORS
from siglip2_multimodal_hash.reporting.text_tables import text_table

TITLES = {
    "label_count": "by number of labels",
    "smallest_object": "by the smallest object's share of the image",
    "median_object": "by the median object's share of the image",
    "object_size": "labels by the share of the image of their largest object",
    "caption": "labels by whether the caption names the category",
}

_SHOWN = 10

Errors = Mapping[str, Any]
Table = tuple[str, tuple[str, ...], Sequence[tuple[str, ...]]]


def errors_text(errors: Errors, predictor: str, classes: int | None = None) -> str:
    """The analysis of one predictor as tables, figures in percent.

    Args:
        errors: See :func:`..evaluation.error_analysis.analyse_errors`.
        predictor: ``knn``, ``mlp`` or ``hybrid``.
        classes: The worst so many; all of them otherwise.
    """
    parts = [f"{predictor}: {errors['images']:,} test images"]
    tables = [class_table(errors, predictor, classes), *group_tables(errors)]
    tables.append(worst_table(errors, predictor))
    for title, head, rows in tables:
        text = {0, *(place for place, name in enumerate(head) if name in _TEXT)}
        parts.append(f"{title}\n{text_table(head, rows, text=text)}")
    return "\n\n".join(parts) + "\n"


def class_table(errors: Errors, predictor: str, most: int | None = None) -> Table:
    """Classes by AP, the lowest first, with what they are confused with."""
    known = [one for one in errors["classes"] if one["AP"][predictor] is not None]
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


def group_tables(errors: Errors) -> Iterable[Table]:
    """Each grouping that has a group, with the figures of every predictor."""
    for key, title in TITLES.items():
        groups: Sequence[Errors] = errors["groups"][key]
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


def worst_table(errors: Errors, predictor: str) -> Table:
    """The images with the lowest AP of their tags."""
    rows = [
        (
            str(one["image_id"]),
            _percent(one["AP"]),
            _percent(one["F1"]),
            ", ".join(one["true"]),
            ", ".join(one["predicted"]) or "-",
        )
        for one in errors["worst"][predictor][:_SHOWN]
    ]
    head = ("image id", "AP", "F1", "true", "predicted")
    return f"images whose labels {predictor} ranks lowest", head, rows


_TEXT = ("wrongly tagged", "true", "predicted")


def _confused(classes: Sequence[Errors]) -> str:
    return ", ".join(f"{one['category']} {one['images']}" for one in classes) or "-"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
