"""The evaluation of a head as files: figures, and per query the scores and neighbours."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import load_array
from siglip2_multimodal_hash.evaluation.heads import QUERY_SPLITS, HeadEvaluation, Predictions
from siglip2_multimodal_hash.evaluation.items import Items
from siglip2_multimodal_hash.evaluation.protocol import Figures
from siglip2_multimodal_hash.files import read_output, replacing, write_json
from siglip2_multimodal_hash.params import PREDICTORS
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours

_REMAKE = "run `dvc repro evaluate_knn`"


@dataclass(frozen=True, eq=False)
class StoredEvaluation:
    """Content of :func:`write_evaluation`'s files; ``curves`` holds lists instead of arrays."""

    figures: Figures
    predictions: dict[str, Predictions]
    curves: dict[str, dict[str, list[float]]]


def write_evaluation(folder: Path, evaluation: HeadEvaluation, items: Items | None = None) -> None:
    """Write ``figures.json``, ``curves.json`` and arrays named ``SPLIT-NAME.npy``: all or none.

    Args:
        folder: Replaced.
        evaluation: Of a head.
        items: The images of test; without them the evaluation cannot be compared with another.
    """
    with replacing(folder) as temporary:
        temporary.mkdir()
        write_json(temporary / "figures.json", evaluation.figures)
        curves = {
            split: {
                "distance": curve.distances.tolist(),
                "precision": curve.precision.tolist(),
                "recall": curve.recall.tolist(),
            }
            for split, curve in evaluation.curves.items()
        }
        write_json(temporary / "curves.json", curves)
        for split, predictions in evaluation.predictions.items():
            arrays: dict[str, npt.NDArray[Any]] = {
                **predictions.scores,
                "neighbours": predictions.neighbours.rows,
                "similarities": predictions.neighbours.similarities,
                "retrieval": evaluation.query_precisions[split],
            }
            for name, array in arrays.items():
                np.save(temporary / f"{split}-{name}.npy", array, allow_pickle=False)
        if items is not None:
            items.write(temporary)


def read_evaluation(folder: Path) -> StoredEvaluation:
    """Read what :func:`write_evaluation` wrote.

    Raises:
        DataError: A file is missing or damaged.
    """
    predictions = {
        split: Predictions(
            Neighbours(
                load_array(folder / f"{split}-neighbours.npy"),
                load_array(folder / f"{split}-similarities.npy"),
            ),
            {name: load_array(folder / f"{split}-{name}.npy") for name in PREDICTORS},
        )
        for split in QUERY_SPLITS
    }
    with read_output(folder / "figures.json", _REMAKE) as content:
        figures = {name: {**of} for name, of in content.items()}
    with read_output(folder / "curves.json", _REMAKE) as content:
        curves = {split: {**of} for split, of in content.items()}
    return StoredEvaluation(figures, predictions, curves)
