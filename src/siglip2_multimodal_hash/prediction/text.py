"""Predictions as text for people and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from siglip2_multimodal_hash.document import Part, Strong, Table, Weak
from siglip2_multimodal_hash.prediction.answer import (
    CAPTION_NOTES,
    TAGGED_BY,
    Neighbour,
    Prediction,
)

NEIGHBOURS = 5
"""Neighbours that are shown unless all are asked for."""


def as_json(prediction: Prediction) -> dict[str, Any]:
    """Plain values; the keys are the attributes of :class:`.answer.Prediction`."""
    return {**asdict(prediction), "path": str(prediction.path)}


def prediction_parts(prediction: Prediction, *, everything: bool) -> list[Part]:
    """One photo: its tags, and the neighbours that voted, all of them or the nearest."""
    caption = CAPTION_NOTES[prediction.caption_from]
    if prediction.caption_from == "given":
        caption = f'"{prediction.caption}"'
    shown = prediction.neighbours[: None if everything else NEIGHBOURS]
    left = len(prediction.neighbours) - len(shown)
    notes = [
        f"{left} more neighbours voted: --all shows them" if left else "",
        "distance 0: the same code; a photo that is in the database finds itself"
        if any(one.distance == 0 for one in shown)
        else "",
    ]
    said = "\n".join(filter(None, notes))
    return [
        Strong(str(prediction.path)),
        f"caption: {caption}\ntags: "
        + (", ".join(prediction.predicted) or "none reaches the threshold")
        + (f"\nwarning: {prediction.warning}" if prediction.warning else ""),
        _tag_table(prediction),
        _neighbour_table(shown, prediction.distance),
        *([Weak(said)] if said else []),
    ]


def _tag_table(prediction: Prediction) -> Table:
    names = list(prediction.thresholds)
    rows = [
        (
            tag.name,
            *(f"{tag.scores[name]:.3f}{'*' if name in tag.above else ' '}" for name in names),
        )
        for tag in prediction.tags
    ]
    limits = ("threshold", *(f"{prediction.thresholds[name]:.3f} " for name in names))
    head = ("tag", *(f"{name} " for name in names))
    return Table(head, [*rows, limits], title="scores (*: reaches the threshold, tuned on val)")


def _neighbour_table(neighbours: Sequence[Neighbour], kind: str) -> Table:
    rows = [
        (
            str(one.image_id),
            f"{one.distance:.{0 if kind == 'hamming' else 4}f}",
            f"{one.similarity:.3f}",
            f"{one.weight:.3f}",
            ", ".join(f"+{name}" if name in one.shared else name for name in one.labels)
            or "no label",
            one.caption,
        )
        for one in neighbours
    ]
    head = ("image", "distance", "similar", "weight", "labels", "caption")
    title = f"neighbours (+: a label that is shared with the tags of {TAGGED_BY})"
    return Table(head, rows, (4, 5), title)
