"""The test images of an evaluation one by one: what two evaluations are compared by.

Files beside the arrays of :mod:`.store`: ``categories.json``, ``test-image_ids.npy``,
``test-labels.npy`` and ``test-retrieval.npy`` (average precision of each query; NaN where the
database holds nothing relevant to it).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import check_labels, check_scores, check_size, load_array
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import read_output, write_json
from siglip2_multimodal_hash.params import PREDICTORS

RETRIEVAL_FIGURE = "mAP@all"
_OLD = "they were made before the results of each image were kept: run the experiment again"


@dataclass(frozen=True, eq=False)
class Items:
    """Images of the test split, and their labels.

    Attributes:
        image_ids: int64 [Q], ascending.
        labels: uint8 [Q, C].
        categories: C names.
    """

    image_ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.uint8]
    categories: tuple[str, ...]

    @classmethod
    def of(cls, dataset: DatasetIndex) -> Self:
        """The test split of a dataset."""
        rows = dataset.rows("test")
        ids = dataset.frame["image_id"].to_numpy()[rows]
        return cls(ids, dataset.labels()[rows], dataset.category_names)

    def write(self, folder: Path) -> None:
        """Write the three files that say which images these are."""
        np.save(folder / "test-image_ids.npy", self.image_ids, allow_pickle=False)
        np.save(folder / "test-labels.npy", self.labels, allow_pickle=False)
        write_json(folder / "categories.json", list(self.categories))


@dataclass(frozen=True, eq=False)
class ItemResults:
    """Results of one head for each image of test.

    Attributes:
        items: The images.
        scores: ``knn``, ``mlp`` and ``hybrid``; float32 [Q, C].
        thresholds: Of each predictor, tuned on val.
        retrieval: Average precision of each query, float64 [Q]; NaN where it is undefined.
    """

    items: Items
    scores: dict[str, npt.NDArray[np.float32]]
    thresholds: dict[str, float]
    retrieval: npt.NDArray[np.float64]


class FileOf(Protocol):
    """Path of a file of an evaluation, by its name."""

    def __call__(self, name: str, /) -> Path:
        """The path, which need not exist."""


def read_item_results(file_of: FileOf, remedy: str = _OLD) -> ItemResults:
    """Read and check the results of each image.

    Args:
        file_of: Such as ``lambda name: folder / name``.
        remedy: Advice where a file is missing or damaged.

    Raises:
        DataError: A file is missing, damaged, or does not fit the others.
    """

    def load(name: str) -> npt.NDArray[Any]:
        return load_array(file_of(f"test-{name}.npy"), remedy=remedy)

    with read_output(file_of("categories.json"), remedy) as content:
        names = tuple(map(str, content))
    ids, labels = load("image_ids"), check_labels("labels of test", load("labels"))
    check_size("image ids of test", ids.shape, "labels of test", (len(labels),))
    if (np.diff(ids) <= 0).any():
        raise DataError(f"{file_of('test-image_ids.npy')}: the ids do not ascend", remedy)
    check_size("names of categories", len(names), "columns of the labels", labels.shape[1])
    scores = {name: load(name) for name in PREDICTORS}
    for name, array in scores.items():
        check_scores(f"scores of {name}", array, "labels of test", labels)
    retrieval = load("retrieval")
    check_size("queries of retrieval", retrieval.shape, "labels of test", (len(labels),))
    thresholds = read_thresholds(file_of("figures.json"), PREDICTORS, remedy)
    return ItemResults(Items(ids, labels, names), scores, thresholds, retrieval)


def read_classifier_results(
    items: Items, name: str, file_of: FileOf, remedy: str = _OLD
) -> ItemResults:
    """Read the scores of a classifier without a code for each image.

    Args:
        items: The images, which were read beside a head.
        name: Of the classifier.
        file_of: Path of a file of :class:`..baselines.store.ClassifierResults` by its name.
        remedy: Advice where a file is missing or damaged.

    Returns:
        Its scores in the place of every predictor's, and no retrieval, hence NaN.

    Raises:
        DataError: A file is missing, damaged, or does not fit the images.
    """
    scores = load_array(file_of(f"test-{name}.npy"), remedy=remedy)
    check_scores(f"scores of {name}", scores, "labels of test", items.labels)
    threshold = read_thresholds(file_of("figures.json"), (name,), remedy)[name]
    return ItemResults(
        items,
        dict.fromkeys(PREDICTORS, scores),
        dict.fromkeys(PREDICTORS, threshold),
        np.full(len(items.labels), np.nan),
    )


def read_thresholds(path: Path, names: Iterable[str], remedy: str) -> dict[str, float]:
    """The thresholds of predictors, tuned on val, from the figures of an evaluation.

    Raises:
        DataError: The file is missing or damaged.
    """
    with read_output(path, remedy) as figures:
        return {name: float(figures[name]["threshold"]["tuned"]) for name in names}
