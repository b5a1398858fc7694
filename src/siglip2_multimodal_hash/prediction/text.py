"""Predictions as text for people and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from siglip2_multimodal_hash.prediction.answer import (
    CAPTION_NOTES,
    TAGGED_BY,
    Neighbour,
    Prediction,
)

CAPTION_WIDTH = 60


def as_json(prediction: Prediction) -> dict[str, Any]:
    """Plain values; the keys are the attributes of :class:`.answer.Prediction`."""
    return {**asdict(prediction), "path": str(prediction.path)}


def as_text(predictions: Sequence[Prediction], notes: Sequence[str]) -> str:
    """Tables of every photo, and the notes on all of them."""
    blocks = ["\n".join(_lines(one)) for one in predictions]
    if notes:
        blocks.append("\n".join(f"note: {note}" for note in notes))
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _lines(prediction: Prediction) -> list[str]:
    caption = CAPTION_NOTES[prediction.caption_from]
    if prediction.caption_from == "given":
        caption = f'"{prediction.caption}"'
    lines = [
        str(prediction.path),
        f"  caption: {caption}",
        f"  tags: {', '.join(prediction.predicted) or 'none reaches the threshold'}",
        *([f"  warning: {prediction.warning}"] if prediction.warning else []),
        "",
        *_tag_table(prediction),
        "",
        *_neighbour_table(prediction),
    ]
    if any(one.distance == 0 for one in prediction.neighbours):
        lines += ["  distance 0: the same code; a photo that is in the database finds itself"]
    return lines


def _tag_table(prediction: Prediction) -> list[str]:
    width = max([len("threshold"), *(len(tag.name) for tag in prediction.tags)])
    rows = [f"  {'':{width}}" + "".join(f"{name:>9}" for name in prediction.thresholds)]
    for tag in prediction.tags:
        marked = (
            f"{tag.scores[p]:8.3f}{'*' if p in tag.above else ' '}" for p in prediction.thresholds
        )
        rows.append(f"  {tag.name:{width}}{''.join(marked)}".rstrip())
    limits = "".join(f"{prediction.thresholds[name]:8.3f} " for name in prediction.thresholds)
    return [*rows, f"  {'threshold':{width}}{limits}  tuned on val; * reaches it"]


def _neighbour_table(prediction: Prediction) -> list[str]:
    head = f"  {'image':>8} {'distance':>8} {'similar':>7} {'weight':>6}  "
    rows = [head + f"labels (+ shared with the tags of {TAGGED_BY}) | caption"]
    return [*rows, *(_neighbour(one, prediction.distance) for one in prediction.neighbours)]


def _neighbour(one: Neighbour, kind: str) -> str:
    distance = f"{one.distance:8.0f}" if kind == "hamming" else f"{one.distance:8.4f}"
    labels = ", ".join(f"+{name}" if name in one.shared else name for name in one.labels)
    caption = one.caption if len(one.caption) <= CAPTION_WIDTH else one.caption[:57] + "..."
    figures = f"  {one.image_id:>8} {distance} {one.similarity:7.3f} {one.weight:6.3f}  "
    return f"{figures}{labels or 'no label'} | {caption}"
