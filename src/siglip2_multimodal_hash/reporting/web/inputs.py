"""Inputs of the report page, and the files that they are read from."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.store import StoredEvaluation
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.retrieval.store import HeadCodes

Json = dict[str, Any]
Record = dict[str, str]


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """One evaluated head.

    Attributes:
        title: Dataset and backbone.
        dataset: The index.
        evaluation: Of the head.
        codes: Of every image.
        knn: The setting of the vote.
        baselines: Rows of the comparison; see :func:`..tables.baseline_metrics`.
        training: Losses and val mAP by epoch: the rows of ``training_train.csv`` and
            ``training_val.csv``.
        grid: Rows of ``knn_grid.csv``; empty where no grid was tried.
        errors: ``errors.json``; None where the errors were not analysed.
    """

    title: str
    dataset: DatasetIndex
    evaluation: StoredEvaluation
    codes: HeadCodes
    knn: KnnParams
    baselines: Json
    training: dict[str, list[Record]]
    grid: list[Record]
    errors: Json | None = None

    @property
    def labels(self) -> npt.NDArray[np.uint8]:
        """Labels of the test split, uint8 [Q, C]."""
        return self.dataset.labels()[self.dataset.rows("test")]

    @property
    def scores(self) -> dict[str, npt.NDArray[np.float32]]:
        """Scores by predictor, on test, float32 [Q, C]."""
        return self.evaluation.predictions["test"].scores


def read_inputs(
    title: str,
    dataset: DatasetIndex,
    evaluation: StoredEvaluation,
    codes: HeadCodes,
    knn: KnnParams,
    *,
    details: Path,
    plots: Path,
) -> ReportInputs:
    """Add what lies in the folders of details and plots; a grid and an error analysis if there.

    Raises:
        DataError: A file is missing or damaged.
    """
    errors = details / "errors.json"
    grid = plots / "knn_grid.csv"
    return ReportInputs(
        title,
        dataset,
        evaluation,
        codes,
        knn,
        baselines=read_json(details / "baselines.json"),
        training={
            split: read_records(plots / f"training_{split}.csv") for split in ("train", "val")
        },
        grid=read_records(grid) if grid.exists() else [],
        errors=read_json(errors) if errors.exists() else None,
    )


def read_records(path: Path) -> list[Record]:
    """The rows of a CSV file by column name.

    Raises:
        DataError: The file is missing, cannot be read, or a row has too few or too many cells.
    """
    remedy = "run `dvc repro summarise`"
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            records = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})", remedy) from None
    for number, record in enumerate(records, start=2):
        if None in record or None in record.values():
            raise DataError(f"{path}, line {number}: not as many cells as columns", remedy)
    return records
