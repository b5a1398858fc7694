"""Error analysis of a head on test: by class, by image, and by kinds of images and objects."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Scores
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.datasets.object_sizes import ObjectSizes, Shares, object_shares
from siglip2_multimodal_hash.evaluation.average_precision import average_precisions
from siglip2_multimodal_hash.evaluation.caption_names import names_objects
from siglip2_multimodal_hash.evaluation.confusions import confusions
from siglip2_multimodal_hash.evaluation.groups import (
    by_label_count,
    by_size,
    item_f1,
    item_precision,
    of_images,
    of_labels,
)
from siglip2_multimodal_hash.evaluation.items import Items
from siglip2_multimodal_hash.evaluation.store import StoredEvaluation
from siglip2_multimodal_hash.params import CaptionPolicy

WORST = 20


def errors_of_test(
    dataset: DatasetIndex,
    evaluation: StoredEvaluation,
    sizes: ObjectSizes,
    eval_caption: CaptionPolicy,
) -> dict[str, Any]:
    """:func:`analyse_errors` of a stored evaluation; ``eval_caption`` is the head's caption."""
    rows = dataset.rows("test")
    own: list[list[str]] = dataset.frame["captions"].iloc[rows].to_list()
    scores = evaluation.predictions["test"].scores
    return analyse_errors(
        Items.of(dataset),
        scores,
        {name: evaluation.figures[name]["threshold"]["tuned"] for name in scores},
        [texts[:1] for texts in own] if eval_caption == "first" else own,
        object_shares(sizes, dataset, rows),
    )


def analyse_errors(
    items: Items,
    scores: Mapping[str, Scores],
    thresholds: Mapping[str, float],
    captions: Sequence[Sequence[str]],
    shares: Shares,
) -> dict[str, Any]:
    """Describe the errors of every predictor; tags are the scores at its tuned threshold.

    Args:
        items: The Q images of test.
        scores: By predictor, float32 [Q, C].
        thresholds: By predictor.
        captions: Of each image, those that the head saw.
        shares: Share of each image that its objects cover.

    Returns:
        ``images``; ``classes``: ``category``, ``images``, by predictor ``AP`` (None without a
        positive) and ``confused`` (see :mod:`.confusions`); ``worst``: by predictor the images with
        the lowest AP, then F1; ``groups``: images by ``label_count``, ``smallest_object`` and
        ``median_object`` (mean AP and F1 of an image's tags), and labels by ``object_size`` (of the
        class's largest object) and ``caption`` (recall).
    """
    labels = items.labels
    decided = {name: own >= thresholds[name] for name, own in scores.items()}
    figures = {
        name: {"AP": item_precision(labels, own), "F1": item_f1(labels, decided[name])}
        for name, own in scores.items()
    }
    named = names_objects(captions, items.categories)
    return {
        "images": len(labels),
        "classes": _classes(items, scores, decided),
        "worst": {
            name: _worst(items, decided[name], own["AP"], own["F1"])
            for name, own in figures.items()
        },
        "groups": {
            "label_count": of_images(by_label_count(labels), figures),
            "smallest_object": of_images(by_size(shares.smallest), figures),
            "median_object": of_images(by_size(shares.median), figures),
            "object_size": of_labels(by_size(shares.largest), labels, decided),
            "caption": of_labels([("named", named), ("not named", ~named)], labels, decided),
        },
    }


def _classes(
    items: Items,
    scores: Mapping[str, Scores],
    decided: Mapping[str, npt.NDArray[np.bool_]],
) -> list[dict[str, Any]]:
    precisions = {name: average_precisions(own, items.labels) for name, own in scores.items()}
    confused = {
        name: confusions(items.labels, own, items.categories) for name, own in decided.items()
    }
    images = items.labels.sum(axis=0, dtype=np.int64)
    return [
        {
            "category": category,
            "images": int(images[column]),
            "AP": {name: _or_none(own[column]) for name, own in precisions.items()},
            "confused": {name: own[column] for name, own in confused.items()},
        }
        for column, category in enumerate(items.categories)
    ]


def _worst(
    items: Items,
    decided: npt.NDArray[np.bool_],
    precision: npt.NDArray[np.float64],
    f1: npt.NDArray[np.float64],
) -> list[dict[str, Any]]:
    """The labelled images whose right classes are ranked lowest, the worst first."""
    names = np.array(items.categories)
    # NaN, of images without a label, sorts last.
    order = np.lexsort((items.image_ids, f1, precision))
    rows = [row for row in order if not np.isnan(precision[row])][:WORST]
    return [
        {
            "image_id": int(items.image_ids[row]),
            "AP": float(precision[row]),
            "F1": float(f1[row]),
            "true": names[items.labels[row].astype(bool)].tolist(),
            "predicted": names[decided[row]].tolist(),
        }
        for row in rows
    ]


def _or_none(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
