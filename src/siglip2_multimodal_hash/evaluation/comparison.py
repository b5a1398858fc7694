"""Two evaluations, or two sets of seeds, compared on the same test images.

Each figure is a function of how often each image counts, so one draw of images gives all figures
of all runs at once, and their differences are paired.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Floats, check_positives
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import average_precisions
from siglip2_multimodal_hash.evaluation.items import RETRIEVAL_FIGURE, ItemResults
from siglip2_multimodal_hash.evaluation.significance import (
    DRAWS,
    Difference,
    Weights,
    bootstrap,
    mean_of_some,
)
from siglip2_multimodal_hash.evaluation.weighted_precision import (
    WeightedDecisions,
    WeightedPrecision,
)
from siglip2_multimodal_hash.params import PREDICTORS

METRICS = ("mAP", "CF1", "retrieval")
MOVED = 5
DECIMALS = 12

Figure = Callable[[Weights], float]


@dataclass(frozen=True)
class Compared:
    """One figure of both sides.

    Attributes:
        name: Such as ``knn mAP`` or ``retrieval mAP@all``.
        a: Of each run of the first side.
        b: Of each run of the second.
        difference: Mean of ``b`` less mean of ``a``.
    """

    name: str
    a: tuple[float, ...]
    b: tuple[float, ...]
    difference: Difference


@dataclass(frozen=True)
class MovedClass:
    """A class whose average precision differs much between the sides.

    Attributes:
        predictor: ``knn``, ``mlp`` or ``hybrid``.
        name: Of the category.
        images: Test images that show it.
        a: Average precision, mean over the runs of the first side.
        b: Of the second.
    """

    predictor: str
    name: str
    images: int
    a: float
    b: float


@dataclass(frozen=True)
class Comparison:
    """All figures, and the classes that moved most, by predictor."""

    figures: tuple[Compared, ...]
    moved: tuple[MovedClass, ...]
    images: int
    queries: int


def compare(
    a: Sequence[ItemResults],
    b: Sequence[ItemResults],
    *,
    metrics: Sequence[str] = METRICS,
    seed: int = 0,
    draws: int = DRAWS,
    drawn: Callable[[], object] = lambda: None,
) -> Comparison:
    """Compare the runs ``b`` with the runs ``a``, all of the same test images.

    CF1 is that at each run's own threshold, tuned on val. A retrieval figure is the mean over the
    queries with a relevant item that a draw holds.

    Args:
        a: At least one run.
        b: At least one run.
        metrics: Some of :data:`METRICS`.
        seed: Of the draws.
        draws: Their number.
        drawn: Called after each draw, from any thread.

    Raises:
        DataError: Queries have a relevant item in one run's database and none in another's, or no
            class has a positive.
    """
    runs = [*a, *b]
    check_same_queries(runs)
    items = runs[0].items
    check_positives("labels of test", bool(items.labels.any()))
    figures = [figures_of(run, metrics) for run in runs]

    def values(weights: Weights) -> Floats:
        """One row per run, one column per figure."""
        return np.array([[figure(weights) for figure in run.values()] for run in figures])

    def difference(weights: Weights) -> Floats:
        found = values(weights)
        gap = found[len(a) :].mean(axis=0) - found[: len(a)].mean(axis=0)
        # Equal runs in another order must not differ by the noise of the summation.
        rounded: Floats = np.round(gap, DECIMALS) + 0.0
        return rounded

    differences = bootstrap(
        difference,
        len(items.labels),
        seed=seed,
        draws=draws,
        drawn=drawn,
    )
    plain = values(np.ones(len(items.labels), dtype=np.int64))
    return Comparison(
        tuple(
            Compared(
                name,
                tuple(plain[: len(a), column].tolist()),
                tuple(plain[len(a) :, column].tolist()),
                differences[column],
            )
            for column, name in enumerate(figures[0])
        ),
        tuple(one for name in PREDICTORS for one in _moved(name, a, b)),
        len(items.labels),
        int((~np.isnan(runs[0].retrieval)).sum()),
    )


def figures_of(run: ItemResults, metrics: Sequence[str] = METRICS) -> dict[str, Figure]:
    """Each figure of a run as a function of the images' weights.

    Raises:
        DataError: Bad arrays.
    """
    labels = run.items.labels
    figures: dict[str, Figure] = {}
    if "mAP" in metrics:
        for name in PREDICTORS:
            figures[f"{name} mAP"] = _map_figure(run.scores[name], labels)
    if "CF1" in metrics:
        for name in PREDICTORS:
            figures[f"{name} CF1"] = _cf1_figure(run.scores[name], labels, run.thresholds[name])
    if "retrieval" in metrics:
        figures[f"retrieval {RETRIEVAL_FIGURE}"] = _retrieval_figure(run.retrieval)
    return figures


def check_same_queries(runs: Sequence[ItemResults]) -> None:
    """Refuse runs whose queries have relevant items in one database and none in the other.

    Raises:
        DataError: They do; the message gives the first image.
    """
    for run in runs[1:]:
        different = np.isnan(run.retrieval) != np.isnan(runs[0].retrieval)
        if different.any():
            image = run.items.image_ids[np.flatnonzero(different)[0]]
            raise DataError(
                f"retrieval: {int(different.sum())} test images, the first with id {image}, have "
                "something relevant in the database of one run and nothing in that of another",
                "compare runs with one database: the same dataset.* parameters",
            )


def _map_figure(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> Figure:
    precisions = WeightedPrecision(scores, labels)
    return lambda weights: mean_of_some(precisions(weights))


def _cf1_figure(
    scores: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], threshold: float
) -> Figure:
    decisions = WeightedDecisions(scores, labels, threshold)

    def figure(weights: Weights) -> float:
        counted = decisions(weights)
        return counted.figures()["CF1"] if counted.positives.any() else float("nan")

    return figure


def _retrieval_figure(precisions: Floats) -> Figure:
    rows = np.flatnonzero(~np.isnan(precisions))
    values = precisions[rows]

    def figure(weights: Weights) -> float:
        total = int(weights[rows].sum())
        return float(weights[rows] @ values / total) if total else float("nan")

    return figure


def _moved(predictor: str, a: Sequence[ItemResults], b: Sequence[ItemResults]) -> list[MovedClass]:
    """The classes whose average precision differs most, the largest difference first."""
    items = a[0].items
    first, second = (
        np.mean([average_precisions(run.scores[predictor], items.labels) for run in side], axis=0)
        for side in (a, b)
    )
    gaps = np.nan_to_num(np.abs(second - first))
    images = items.labels.sum(axis=0, dtype=np.int64)
    order = np.argsort(-gaps, kind="stable")[:MOVED]
    return [
        MovedClass(
            predictor,
            items.categories[column],
            int(images[column]),
            float(first[column]),
            float(second[column]),
        )
        for column in order
        if gaps[column] > 0
    ]
