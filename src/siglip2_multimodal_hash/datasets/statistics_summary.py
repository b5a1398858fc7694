"""What the splits of a dataset have in common and where they differ, from its statistics."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from siglip2_multimodal_hash.datasets.split_file import ROWS_OF, SPLITS

Statistics = Mapping[str, Any]

TOP_RATIOS = 5
TOP_PAIRS = 10


def summarise_statistics(statistics: Statistics) -> dict[str, Any]:
    """A digest of :func:`.statistics.dataset_statistics`, JSON-able.

    Returns:
        ``images``: as there; ``splits``: the figures of each split without the class frequencies,
        and of ``all`` images together; ``class_frequency``: for each class the images of each
        split and of ``all``, most frequent first; ``label_shift``: :func:`label_shift` of val and
        test against train, and of test against the database where that is not train;
        ``co_occurrence_train``: the most frequent pairs of classes in train; ``overlap``: as there.
    """
    # JSON has sorted the keys.
    counts, described = statistics["images"], statistics["splits"]
    splits: dict[str, Any] = {name: described[name] for name in ROWS_OF if name in described}
    parts = disjoint_splits(splits)
    names = statistics["categories"]
    frequency = {name: np.array(split["class_frequency"]) for name, split in splits.items()}
    together = np.sum([frequency[name] for name in parts], axis=0)
    order = np.lexsort((np.arange(len(names)), -together))
    summary = {
        name: {key: value for key, value in split.items() if key != "class_frequency"}
        for name, split in splits.items()
    }
    pairs = [("train", "val"), ("train", "test")]
    if "database" in splits:
        pairs.append(("database", "test"))
    return {
        "images": {name: counts[name] for name in (*SPLITS, "total") if name in counts},
        "splits": summary | {"all": _together([splits[name] for name in parts])},
        "class_frequency": {
            names[c]: {
                **{name: int(counts[c]) for name, counts in frequency.items()},
                "all": int(together[c]),
            }
            for c in order
        },
        "label_shift": {
            f"{other}/{base}": label_shift(names, splits[base], splits[other])
            for base, other in pairs
        },
        "co_occurrence_train": most_frequent_pairs(names, statistics["co_occurrence_train"]),
        "overlap": dict(statistics["overlap"]),
    }


def disjoint_splits(splits: Statistics) -> tuple[str, ...]:
    """Splits that together hold every image once; the database holds train, and may hold val."""
    return ("database", "test") if "database" in splits else ("train", "val", "test")


def label_shift(names: Sequence[str], base: Statistics, other: Statistics) -> dict[str, Any]:
    """How far the labels of one split are from those of another.

    Returns:
        ``total_variation``: half the sum over classes of |p - q|, where p and q are the classes'
        shares of all labels of a split: 0 for equal shares, 1 for disjoint classes, ``None`` where
        a split has no label. ``ratios``: the classes whose share of the *images* differs most, by
        |log ratio|, as ``[class, ratio of other to base]``; classes that one of the two lacks are
        in ``absent`` instead.
    """
    counts = [np.array(split["class_frequency"], dtype=np.float64) for split in (base, other)]
    labels = [count.sum() for count in counts]
    absent = [names[c] for c in np.flatnonzero((counts[0] > 0) != (counts[1] > 0)).tolist()]
    if not all(labels):
        return {"total_variation": None, "ratios": [], "absent": absent}
    ratios = class_ratios(names, base, other)
    distances = -np.abs(np.log([ratio for _, ratio in ratios]))
    order = np.argsort(distances, kind="stable")[:TOP_RATIOS].tolist()
    distance = np.abs(counts[0] / labels[0] - counts[1] / labels[1]).sum() / 2
    return {
        "total_variation": float(distance),
        "ratios": [list(ratios[i]) for i in order],
        "absent": absent,
    }


def class_ratios(
    names: Sequence[str], base: Statistics, other: Statistics
) -> list[tuple[str, float]]:
    """How many times as large a share of ``other``'s images as of ``base``'s shows each class.

    In the order of the classes; those that one of the two lacks are left out.
    """
    counts = zip(names, base["class_frequency"], other["class_frequency"], strict=True)
    return [
        (name, (there / other["images"]) / (here / base["images"]))
        for name, here, there in counts
        if here and there
    ]


def most_frequent_pairs(names: Sequence[str], counts: Sequence[Sequence[int]]) -> list[list[Any]]:
    """Pairs of classes by the images that show both, most first: ``[class, class, images]``."""
    matrix = np.array(counts, dtype=np.int64)
    first, second = np.triu_indices(len(names), 1)
    images = matrix[first, second]
    order = np.lexsort((second, first, -images))[:TOP_PAIRS].tolist()
    return [[names[first[i]], names[second[i]], int(images[i])] for i in order if images[i] > 0]


def _together(splits: Sequence[Statistics]) -> dict[str, Any]:
    """The figures of several splits as of one; quantiles cannot be joined and are left out."""
    images = sum(split["images"] for split in splits)
    labelled = sum(split["labelled"] for split in splits)
    captions = sum(split["captions"] for split in splits)
    labels = sum(sum(split["class_frequency"]) for split in splits)
    longest = max(len(split["labels_per_image"]["histogram"]) for split in splits)
    histogram = np.zeros(longest, dtype=np.int64)
    for split in splits:
        part = np.array(split["labels_per_image"]["histogram"], dtype=np.int64)
        histogram[: len(part)] += part
    extremes = [split["captions_per_image"] for split in splits if split["images"]]
    words = math.fsum(
        split["captions"] * split["caption_words"]["mean"] for split in splits if split["captions"]
    )
    return {
        "images": images,
        "labelled": labelled,
        "unlabelled": images - labelled,
        "captions": captions,
        "labels_per_image": {
            "mean": labels / images if images else None,
            "histogram": histogram.tolist(),
        },
        "captions_per_image": {
            "min": min((one["min"] for one in extremes), default=None),
            "max": max((one["max"] for one in extremes), default=None),
        },
        "caption_words": {"mean": words / captions if captions else None},
    }
