"""Inputs of the report page, and the files that they are read from."""

import csv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.significance import Difference
from siglip2_multimodal_hash.evaluation.store import StoredEvaluation
from siglip2_multimodal_hash.files import read_output
from siglip2_multimodal_hash.params import KnnParams, Params
from siglip2_multimodal_hash.reporting.tables import REMAKE, whole_coco
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
        best_epoch: Epoch whose weights were kept; 0 for the closed form.
        grid: Rows of ``knn_grid.csv``; empty where no grid was tried.
        errors: ``errors.json``; None where the errors were not analysed.
        intervals: Of the headline figures; see :func:`..intervals.headline_intervals`.
        provenance: Settings and versions by name; see :func:`provenance`.
        whole: Images of the dataset that this may be a part of; None where there is none.
    """

    title: str
    dataset: DatasetIndex
    evaluation: StoredEvaluation
    codes: HeadCodes
    knn: KnnParams
    baselines: Json
    training: dict[str, list[Record]]
    best_epoch: int
    grid: list[Record]
    errors: Json | None
    intervals: dict[str, Difference]
    provenance: dict[str, str]
    whole: int | None = None

    @property
    def labels(self) -> npt.NDArray[np.uint8]:
        """Labels of the test split, uint8 [Q, C]."""
        return self.dataset.labels()[self.dataset.rows("test")]

    @property
    def scores(self) -> dict[str, npt.NDArray[np.float32]]:
        """Scores by predictor, on test, float32 [Q, C]."""
        return self.evaluation.predictions["test"].scores


def provenance(params: Params) -> dict[str, str]:
    """Settings that decide the figures, and versions of the libraries that write this page.

    The same in every clone: a commit, an experiment's name and the time cannot be in the file
    that is to be committed.
    """
    backbone = params.backbone
    made = {"seed": str(params.seed), "objective": params.loss.objective}
    made |= {"protocol": params.dataset.protocol, "checkpoint": backbone.checkpoint}
    # A folder has no revision.
    if not Path(backbone.checkpoint).is_dir():
        made["revision"] = backbone.revision
    versions = {"PyTorch": "torch", "transformers": "transformers", "NumPy": "numpy"}
    return made | {
        "towers": backbone.tune,
        "versions": " · ".join(
            # Which build of PyTorch it is, behind the `+`, is up to the machine.
            f"{name} {version(package).partition('+')[0]}"
            for name, package in versions.items()
        ),
    }


def read_inputs(
    dataset: DatasetIndex,
    evaluation: StoredEvaluation,
    codes: HeadCodes,
    params: Params,
    intervals: dict[str, Difference],
    *,
    details: Path,
    plots: Path,
) -> ReportInputs:
    """Add what lies in the folders of details and plots; a grid and an error analysis if there.

    Raises:
        DataError: A file is missing or damaged.
    """
    grid = plots / "knn_grid.csv"
    with read_output(details / "baselines.json", REMAKE) as found:
        baselines = {name: {**row} for name, row in {"fused": found["fused"], **found}.items()}
    with read_output(details / "fit.json", REMAKE) as found:
        best_epoch = int(found["best_epoch"])
    errors = None
    if (details / "errors.json").exists():
        with read_output(details / "errors.json", REMAKE) as found:
            errors = {**found}
    name = params.dataset.name
    return ReportInputs(
        f"Multi-label tags and retrieval on {name} with {params.backbone.name}",
        dataset,
        evaluation,
        codes,
        params.knn,
        baselines=baselines,
        training={
            split: read_records(plots / f"training_{split}.csv", "epoch")
            for split in ("train", "val")
        },
        best_epoch=best_epoch,
        grid=read_records(grid, "K", "map_knn") if grid.exists() else [],
        errors=errors,
        intervals=intervals,
        provenance=provenance(params),
        whole=whole_coco(params.dataset.kind, params.dataset.protocol, params.dataset.unlabelled),
    )


def read_records(path: Path, *numbers: str) -> list[Record]:
    """The rows of a CSV file by column name.

    Args:
        path: The file.
        numbers: Columns that each row must have, and a number there.

    Raises:
        DataError: The file is missing, cannot be read, lacks a number, or a row has too few or too
            many cells.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            records = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})", REMAKE) from None
    for number, record in enumerate(records, start=2):
        if None in record or None in record.values():
            raise DataError(f"{path}, line {number}: not as many cells as columns", REMAKE)
        for column in numbers:
            try:
                float(record[column])
            except (KeyError, ValueError):
                raise DataError(f"{path}, line {number}: no number {column}", REMAKE) from None
    return records
