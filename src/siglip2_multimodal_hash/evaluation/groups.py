"""Tagging quality by group of images or objects: by label count, by size, by caption."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Floats
from siglip2_multimodal_hash.evaluation.average_precision import average_precisions

MOST_LABELS = 6
# Shares of the image that part small from large; COCO's own limits are pixels of its photos.
SIZE_EDGES = (0.01, 0.04, 0.16)
SIZE_NAMES = ("below 1%", "1% to 4%", "4% to 16%", "16% and more")

Mask = npt.NDArray[np.bool_]
Groups = list[tuple[str, Mask]]


def item_f1(labels: npt.NDArray[np.uint8], decided: Mask) -> Floats:
    """F1 of the tags of each image, float64 [Q]; 1 where there is neither tag nor label."""
    hits = (decided & labels.astype(bool)).sum(axis=1)
    both = decided.sum(axis=1) + labels.sum(axis=1, dtype=np.int64)
    f1: Floats = np.divide(2.0 * hits, both, out=np.ones(len(labels)), where=both > 0)
    return f1


def item_precision(labels: npt.NDArray[np.uint8], scores: npt.NDArray[Any]) -> Floats:
    """Average precision of the order of classes of each image, float64 [Q]; NaN without a label."""
    return average_precisions(np.ascontiguousarray(scores.T), np.ascontiguousarray(labels.T))


def by_label_count(labels: npt.NDArray[np.uint8]) -> Groups:
    """Images with 0, 1, ... labels; the last group has six or more."""
    counts = np.minimum(labels.sum(axis=1, dtype=np.int64), MOST_LABELS)
    names = [*map(str, range(MOST_LABELS)), f"{MOST_LABELS} or more"]
    return [(name, counts == count) for count, name in enumerate(names)]


def by_size(shares: Floats) -> Groups:
    """Images [Q] or objects [Q, C] by the share of the image; unknown sizes are in no group."""
    known = ~np.isnan(shares)
    number = np.searchsorted(SIZE_EDGES, np.where(known, shares, 0), side="right")
    return [(name, known & (number == place)) for place, name in enumerate(SIZE_NAMES)]


def of_images(groups: Groups, figures: Mapping[str, Mapping[str, Floats]]) -> list[dict[str, Any]]:
    """Means over the images of each group that has any.

    Args:
        groups: bool [Q] each.
        figures: By predictor the figures of each image, float64 [Q]; NaN is left out.

    Returns:
        ``group``, ``images`` and, by predictor, the figures; None where none is defined.
    """
    return _described(
        groups,
        "images",
        lambda mask: {
            predictor: {name: _mean(values[mask]) for name, values in own.items()}
            for predictor, own in figures.items()
        },
    )


def of_labels(
    groups: Sequence[tuple[str, Mask]],
    labels: npt.NDArray[np.uint8],
    decided: Mapping[str, Mask],
) -> list[dict[str, Any]]:
    """Recall of the labels of each group that has any.

    Args:
        groups: bool [Q, C] each; only what is a label counts.
        labels: uint8 [Q, C].
        decided: By predictor, bool [Q, C].

    Returns:
        ``group``, ``labels`` and, by predictor, ``recall``.
    """
    true = labels.astype(bool)
    return _described(
        [(name, mask & true) for name, mask in groups],
        "labels",
        lambda mask: {
            predictor: {"recall": float(own[mask].mean())} for predictor, own in decided.items()
        },
    )


def _described(
    groups: Groups, unit: str, describe: Callable[[Mask], dict[str, Any]]
) -> list[dict[str, Any]]:
    return [
        {"group": name, unit: int(mask.sum())} | describe(mask)
        for name, mask in groups
        if mask.any()
    ]


def _mean(values: Floats) -> float | None:
    some = values[~np.isnan(values)]
    return float(some.mean()) if some.size else None
