"""Pictures that are not DVC's: drawn by matplotlib, the same bytes for the same data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from siglip2_multimodal_hash.evaluation.average_precision import average_precisions, micro_curve
from siglip2_multimodal_hash.evaluation.store import StoredEvaluation
from siglip2_multimodal_hash.files import replacing
from siglip2_multimodal_hash.params import PREDICTORS

COLOURS = {"knn": "#1b6ca8", "mlp": "#d1495b", "hybrid": "#3a7d44"}


def draw_overview(
    path: Path,
    history: list[dict[str, Any]],
    evaluation: StoredEvaluation,
    labels: npt.NDArray[np.uint8],
) -> None:
    """Training curves, precision-recall by predictor, and AP by class, side by side.

    Args:
        path: The PNG.
        history: One record per epoch.
        evaluation: Of the head.
        labels: Of the test split, uint8 [Q, C].
    """
    scores = evaluation.predictions["test"].scores
    # Without a display, and with the fonts that matplotlib brings.
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "axes.grid": True}):
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        parts: tuple[Callable[[Axes], None], ...] = (
            lambda axes: _training(axes, history),
            lambda axes: _precision_recall(axes, scores, labels),
            lambda axes: _class_precision(axes, scores["knn"], labels),
        )
        for axes, draw in zip(figure.subplots(1, len(parts)), parts, strict=True):
            draw(axes)
            axes.grid(alpha=0.3)
        with replacing(path) as temporary:
            # The version of matplotlib is no part of the picture.
            figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})


def _training(axes: Axes, history: list[dict[str, Any]]) -> None:
    trained = [record for record in history if "train_total" in record]
    validated = [record for record in history if "val_mAP" in record]
    axes.plot(
        [record["epoch"] for record in trained],
        [record["train_total"] for record in trained],
        color="#888",
        label="train",
    )
    axes.plot(
        [record["epoch"] for record in validated],
        [record["val_total"] for record in validated],
        color="#222",
        label="val",
    )
    axes.set(title="Loss and val mAP by epoch", xlabel="epoch", ylabel="loss")
    right = axes.twinx()
    right.plot(
        [record["epoch"] for record in validated],
        [record["val_mAP"] for record in validated],
        color=COLOURS["mlp"],
        linestyle="--",
        label="val mAP (right)",
    )
    right.set_ylim(0, 1)
    lines = [*axes.get_lines(), *right.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="center right")


def _precision_recall(
    axes: Axes, scores: dict[str, npt.NDArray[np.float32]], labels: npt.NDArray[np.uint8]
) -> None:
    for name in PREDICTORS:
        curve = micro_curve(scores[name], labels)
        axes.plot(curve.recall, curve.precision, color=COLOURS[name], label=name)
    axes.set(title="Precision and recall, test", xlabel="recall", ylabel="precision")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="lower left")


def _class_precision(
    axes: Axes, scores: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]
) -> None:
    values = average_precisions(scores, labels)
    values = np.sort(values[~np.isnan(values)])[::-1]
    axes.bar(range(len(values)), values, width=1.0, color=COLOURS["knn"])
    axes.axhline(values.mean(), color="#222", linewidth=1, label=f"mAP {values.mean():.3f}")
    axes.set(title="AP by class, KNN, test", xlabel="classes, best first", ylim=(0, 1))
    axes.legend(loc="upper right")
