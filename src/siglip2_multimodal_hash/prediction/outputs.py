"""The outputs of a finished run that a prediction needs."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from siglip2_multimodal_hash.errors import DataError

REMEDY = "run `dvc repro`"


@dataclass(frozen=True)
class RunOutputs:
    """The files and folders; every one is an output of the pipeline."""

    index: Path
    towers: Path
    embeddings: Path
    head: Path
    codes: Path
    faiss: Path
    figures: Path

    @classmethod
    def of(cls, data: Path, outputs: Path) -> Self:
        """Below the folder of the dataset, and that of the dataset and backbone.

        Raises:
            DataError: Some are missing; all of them are named.
        """
        found = cls(
            index=data / "index.parquet",
            towers=outputs / "towers",
            embeddings=outputs / "embeddings",
            head=outputs / "head",
            codes=outputs / "codes",
            faiss=outputs / "database.faiss",
            figures=outputs / "evaluation" / "figures.json",
        )
        paths: list[Path] = [getattr(found, field.name) for field in fields(cls)]
        if missing := [str(path) for path in paths if not path.exists()]:
            raise DataError(
                "no finished run of this dataset and backbone: missing " + ", ".join(missing),
                f"`dvc checkout` restores what an unfinished run removed; else {REMEDY}",
            )
        return found
