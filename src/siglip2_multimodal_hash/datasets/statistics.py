"""Statistics of a dataset's index, and their summary: shared and differing traits of its splits.

Both are JSON-able; the same index gives the same dict.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import (
    NEEDED,
    ROWS_OF,
    SPLITS,
    DatasetIndex,
    EvaluationSplit,
    count_splits,
)
from siglip2_multimodal_hash.datasets.items import NO_CAPTION
from siglip2_multimodal_hash.errors import DataError

Statistics = Mapping[str, Any]

TOP_RATIOS = 5
TOP_PAIRS = 10
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def dataset_statistics(index: DatasetIndex) -> dict[str, Any]:
    """Describe the splits of an index; ``train`` is all that trains: Karpathy's train + restval.

    Returns:
        ``categories``: the C names, in column order;
        ``images``: number of images by split of the split file, and ``total``;
        ``splits``: for train, val and test the figures of :func:`split_statistics`, and for
        ``database`` where it is not the same as train;
        ``co_occurrence_train``: C lists of C counts, images of train with both categories (the
        diagonal is the frequency of the category);
        ``overlap``: the number of images that two splits share, 0 for each pair; a database other
        than train shares none with test.

    Raises:
        DataError: Two such splits share an image.
    """
    labels = index.labels()
    own = [tuple(texts) for texts in index.frame["captions"]]
    own = [() if texts == NO_CAPTION else texts for texts in own]
    words = np.array([len(one.split()) for texts in own for one in texts], dtype=np.int64)
    captions = np.array([len(texts) for texts in own], dtype=np.int64)
    row_of = np.repeat(np.arange(len(labels)), captions)
    counts = dict.fromkeys(NEEDED, 0) | count_splits(index.frame["split"].tolist())
    rows = {split: index.rows(split) for split in ROWS_OF}
    if np.array_equal(rows["database"], rows["train"]):
        del rows["database"]
    # NumPy multiplies integers without BLAS; counts below 2^53 are exact in float64 too.
    train = labels[rows["train"]].astype(np.float64)
    return {
        "categories": list(index.category_names),
        "images": {
            **counts,
            "total": len(index.frame),
        },
        "splits": {
            split: split_statistics(
                labels[chosen], captions[chosen], words[np.isin(row_of, chosen)]
            )
            for split, chosen in rows.items()
        },
        "co_occurrence_train": (train.T @ train).astype(np.int64).tolist(),
        "overlap": split_overlap(index, rows),
    }


def split_statistics(
    labels: npt.NDArray[np.uint8],
    captions: npt.NDArray[np.int64],
    words: npt.NDArray[np.int64],
) -> dict[str, Any]:
    """Figures of n images with m captions.

    Args:
        labels: uint8 [n, C].
        captions: int64 [n], the number of captions of each image.
        words: int64 [m], the number of words of each caption, split at white space.

    Returns:
        ``images``, ``labelled``, ``unlabelled``, ``captions``: counts;
        ``class_frequency``: C counts of images;
        ``labels_per_image``: ``mean``, and ``histogram``: entry k counts images with k labels;
        ``captions_per_image``: ``min``, ``max``;
        ``caption_words``: ``mean`` and quantiles (linear interpolation), keyed ``q50`` and so on.
        Means, extremes and quantiles of nothing are ``None``.
    """
    per_image = labels.sum(axis=1, dtype=np.int64)
    return {
        "images": len(labels),
        "labelled": int((per_image > 0).sum()),
        "unlabelled": int((per_image == 0).sum()),
        "captions": len(words),
        "class_frequency": labels.sum(axis=0, dtype=np.int64).tolist(),
        "labels_per_image": {
            "mean": _mean(per_image),
            "histogram": np.bincount(per_image).tolist(),
        },
        "captions_per_image": {
            "min": int(captions.min()) if captions.size else None,
            "max": int(captions.max()) if captions.size else None,
        },
        "caption_words": {
            "mean": _mean(words),
            **{
                f"q{round(100 * level):02d}": float(np.quantile(words, level))
                if words.size
                else None
                for level in QUANTILES
            },
        },
    }


def split_overlap(
    index: DatasetIndex, rows: dict[EvaluationSplit, npt.NDArray[np.int64]]
) -> dict[str, int]:
    """The number of images, by image id or by file name, that each pair of splits shares: 0.

    Raises:
        DataError: It is not 0: figures on val and test would be worthless.
    """
    overlap: dict[str, int] = {}
    pairs = [
        pair
        for pair in combinations(rows, 2)
        # A database holds what trains, and may hold val.
        if "database" not in pair or "test" in pair
    ]
    for first, second in pairs:
        shared = 0
        for column in ("image_id", "file_name"):
            values = index.frame[column]
            left, right = set(values.iloc[rows[first]]), set(values.iloc[rows[second]])
            shared = max(shared, len(left & right))
        if shared:
            raise DataError(
                f"the splits {first} and {second} share {shared} image(s)",
                "an image must be in one split only: fetch the split again",
            )
        overlap[f"{first}/{second}"] = shared
    return overlap


def summarise_statistics(statistics: Statistics) -> dict[str, Any]:
    """A digest of :func:`dataset_statistics`, JSON-able.

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
    """Compare the label distributions of two splits.

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
    """Each class's share of the images in ``other`` as a ratio to its share in ``base``.

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


def _mean(values: npt.NDArray[np.int64]) -> float | None:
    return float(values.mean()) if values.size else None


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
