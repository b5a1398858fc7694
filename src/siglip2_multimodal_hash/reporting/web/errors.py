"""Tables of the error analysis on the report page."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from siglip2_multimodal_hash.params import PREDICTORS
from siglip2_multimodal_hash.reporting.web.shapes import cell_bar
from siglip2_multimodal_hash.reporting.web.svg import element
from siglip2_multimodal_hash.reporting.web.tables import Cell, percent, table

TITLES = {
    "label_count": "Images by number of labels",
    "smallest_object": "Images by the share that the smallest object covers",
    "median_object": "Images by the share that the median object covers",
    "object_size": "Labels by the share that their largest object covers",
    "caption": "Labels by whether the caption names the class",
}
WORST_CLASSES = 15

Errors = Mapping[str, Any]


def error_tables(errors: Errors) -> list[str]:
    """Groups of images and labels, and the classes with the lowest AP with their confusions.

    Args:
        errors: ``errors.json``: ``groups`` by kind, each with ``group``, ``images`` or ``labels``
            and the figures of every predictor; ``classes`` with ``category``, ``images``, and by
            predictor ``AP`` and ``confused``.
    """
    groups = errors.get("groups", {})
    shown = [key for key in TITLES if groups.get(key)]
    tables = [_groups(TITLES[key], groups[key]) for key in shown]
    narrow = [one for one, key in zip(tables, shown, strict=True) if "labels" in groups[key][0]]
    tables = [one for one in tables if one not in narrow]
    if narrow:
        tables.append(element("div", "".join(narrow), class_="charts"))
    if errors.get("classes"):
        tables.append(_classes(errors["classes"]))
    return tables


def _groups(title: str, groups: Sequence[Errors]) -> str:
    unit = "labels" if "labels" in groups[0] else "images"
    predictors = [name for name in PREDICTORS if name in groups[0]]
    figures = list(groups[0][predictors[0]])
    columns = [(figure, name) for figure in figures for name in predictors]
    rows = [
        [
            Cell(html.escape(str(group["group"])), head=True),
            Cell(f"{group[unit]:,}"),
            *(_share(group[name][figure], name) for figure, name in columns),
        ]
        for group in groups
    ]
    head = ["", unit, *(f"{figure} {name}" for figure, name in columns)]
    return table(title, head, rows)


def _classes(classes: Sequence[Errors]) -> str:
    predictors = [name for name in PREDICTORS if name in classes[0]["AP"]]
    first = predictors[0]
    known = [one for one in classes if one["AP"][first] is not None]
    known.sort(key=lambda one: (one["AP"][first], one["category"]))
    rows = [
        [
            Cell(html.escape(one["category"]), head=True),
            Cell(f"{one['images']:,}"),
            *(_share(one["AP"][name], name) for name in predictors),
            Cell(html.escape(_confused(one["confused"][first]))),
        ]
        for one in known[:WORST_CLASSES]
    ]
    head = ["", "images", *(f"AP {name}" for name in predictors), f"wrongly tagged by {first}"]
    return table(f"The classes with the lowest AP of {first}", head, rows, class_="last-is-text")


def _share(value: float | None, colour: str) -> Cell:
    return Cell(("" if value is None else cell_bar(value, colour)) + percent(value))


def _confused(classes: Sequence[Errors]) -> str:
    return ", ".join(f"{one['category']} {one['images']}" for one in classes) or "–"
