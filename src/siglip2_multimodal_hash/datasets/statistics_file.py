"""The file of a dataset's statistics, checked before a figure of it is shown.

A file that was cut, edited or written by another version would otherwise fail half-way through a
table, or show figures that contradict each other.
"""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from siglip2_multimodal_hash.datasets.split_file import NEEDED, EvaluationSplit
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import read_json

_REBUILD = "run `dvc repro build_dataset_index`"
_SHOWN = 3

# Sums of counts must fit NumPy's int64.
Count = Annotated[int, Field(ge=0, lt=2**53)]
Mean = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None


class _Record(BaseModel):
    """Strict types, and these keys only."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _LabelsPerImage(_Record):
    mean: Mean
    histogram: list[Count]


class _CaptionsPerImage(_Record):
    min: Count | None
    max: Count | None


class _CaptionWords(_Record):
    mean: Mean
    q00: Mean
    q05: Mean
    q25: Mean
    q50: Mean
    q75: Mean
    q95: Mean
    q100: Mean


class _Split(_Record):
    images: Count
    labelled: Count
    unlabelled: Count
    captions: Count
    class_frequency: list[Count]
    labels_per_image: _LabelsPerImage
    captions_per_image: _CaptionsPerImage
    caption_words: _CaptionWords

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.labelled + self.unlabelled != self.images:
            raise ValueError("labelled + unlabelled is not images")
        if sum(self.labels_per_image.histogram) != self.images:
            raise ValueError("labels_per_image.histogram does not add up to images")
        extremes = dict(self.captions_per_image)
        for name, value, of in (
            ("labels_per_image.mean", self.labels_per_image.mean, self.images),
            *((f"captions_per_image.{key}", value, self.images) for key, value in extremes.items()),
            *((f"caption_words.{key}", value, self.captions) for key, value in self.caption_words),
        ):
            if (value is None) != (of == 0):
                raise ValueError(f"{name} is {value}, of {of}: only what is of nothing is null")
        return self


class _Statistics(_Record):
    categories: list[str]
    images: dict[str, Count]
    splits: dict[EvaluationSplit, _Split]
    co_occurrence_train: list[list[Count]]
    overlap: dict[str, Count]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        size = len(self.categories)
        if len(set(self.categories)) != size:
            raise ValueError("categories holds a name twice")
        missing = [name for name in NEEDED if name not in self.splits]
        if missing:
            raise ValueError(f"no key splits.{missing[0]}")
        for name, split in self.splits.items():
            if len(split.class_frequency) != size:
                raise ValueError(
                    f"splits.{name}.class_frequency has {len(split.class_frequency)} entries for "
                    f"{size} categories"
                )
            if max(split.class_frequency, default=0) > split.labelled:
                raise ValueError(f"splits.{name}.class_frequency exceeds the labelled images")
        if [len(row) for row in self.co_occurrence_train] != [size] * size:
            raise ValueError(f"co_occurrence_train is not {size} x {size}")
        return self


def read_statistics(path: Path) -> dict[str, Any]:
    """Read what :func:`.statistics.dataset_statistics` returned and the stage wrote.

    Raises:
        DataError: The file is missing, no JSON, lacks a key, or holds a value of another type or
            range or one that contradicts another; the message names the key.
    """
    content: dict[str, Any] = read_json(path)
    try:
        _Statistics.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False)
        lines = "; ".join(map(_explain, found[:_SHOWN]))
        more = f"; {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise DataError(
            f"{path}: not the statistics of a dataset: {lines}{more}", _REBUILD
        ) from None
    return content


def _explain(detail: Any) -> str:
    """One complaint as ``key = value: what is allowed``."""
    key = ".".join(map(str, detail["loc"]))
    if detail["type"] == "value_error":
        return f"{key}: {detail['ctx']['error']}" if key else str(detail["ctx"]["error"])
    if detail["type"] == "missing":
        return f"no key {key}"
    kinds = {"model_type", "dict_type"}  # pydantic would name the class
    reason = "must be an object" if detail["type"] in kinds else detail["msg"]
    shown = repr(detail["input"])[:60]
    return f"{key or 'the top level'} = {shown}: {reason}"
