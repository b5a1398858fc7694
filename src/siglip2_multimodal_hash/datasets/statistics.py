"""Statistics of a dataset's index, as a JSON-able dict: the same index, the same dict."""

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.datasets.split_file import (
    NEEDED,
    ROWS_OF,
    EvaluationSplit,
    count_splits,
)
from siglip2_multimodal_hash.errors import DataError

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
    words = np.array([len(caption.split()) for caption in index.captions()], dtype=np.int64)
    captions = np.diff(index.caption_offsets())
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


def _mean(values: npt.NDArray[np.int64]) -> float | None:
    return float(values.mean()) if values.size else None
