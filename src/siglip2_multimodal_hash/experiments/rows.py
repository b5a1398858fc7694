"""Read ``configs/ablations.yaml`` strictly: rows of experiments, each with its question."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.params import PREDICTORS, Section, explained, read_yaml

ABLATIONS_FILE = Path("configs/ablations.yaml")
_PREDICTOR = r"^(knn|mlp|hybrid|[a-z0-9_]+\.[a-z0-9_]+)$"


def _name(value: str) -> str:
    # Names become parts of a Git reference and of file names: no two dots in a row.
    if re.fullmatch(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*", value):
        return value
    raise PydanticCustomError("name", "Letters and digits, joined by single `.`, `-` or `_`")


Name = Annotated[str, AfterValidator(_name)]
Values = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One setting of a row.

    Attributes:
        name: Such as ``128``.
        overrides: Its changes, by dotted key; without the row's fixed parameters.
        read: The figure of tags that it stands for: ``knn``, ``mlp`` or ``hybrid``, or
            ``METHOD.PREDICTOR`` of the comparison with baselines.
    """

    name: str
    overrides: Values
    read: str


class Row(Section):
    """One row: a question and the variants that answer it."""

    tier: Name
    about: Name
    question: Annotated[str, Field(min_length=1)]
    fixed: Values = Field(default={})
    reference: Name
    seeds: Annotated[int, Field(ge=1)]
    only: Values = Field(default={})
    needs: str = ""
    variants_by_name: dict[Name, Values] = Field(default={}, alias="variants")
    product: dict[str, list[Any]] = Field(default={})

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Variants in the order of the file."""
        if self.product:
            combinations = itertools.product(*self.product.values())
            settings = [dict(zip(self.product, values, strict=True)) for values in combinations]
            return tuple(Variant("-".join(map(str, s.values())), s, "knn") for s in settings)
        return tuple(
            Variant(
                name,
                {key: value for key, value in values.items() if key != "read"},
                str(values.get("read", "knn")),
            )
            for name, values in self.variants_by_name.items()
        )

    def variant(self, name: str) -> Variant:
        """The variant of that name, which must exist."""
        return next(variant for variant in self.variants if variant.name == name)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.variants_by_name) == bool(self.product):
            raise ValueError("needs either `variants` or `product`")
        names = [variant.name for variant in self.variants]
        if self.reference not in names:
            raise ValueError(f"reference = {self.reference!r}: not a variant ({', '.join(names)})")
        for variant in self.variants:
            for key in variant.overrides:
                if key in self.fixed:
                    raise ValueError(f"variants.{variant.name}.{key}: is in `fixed`, too")
            if "seed" in variant.overrides or "seed" in self.fixed:
                raise ValueError("seed: is counted by `seeds`, not set")
            _check_read(variant)
        return self


def load_rows(path: Path = ABLATIONS_FILE) -> dict[str, Row]:
    """All rows by name, in the order of the file.

    Raises:
        ParamsError: The file is missing, is not YAML, or a row has an unknown key, a value of the
            wrong type, or contradicts itself; the message names the row and the key.
    """
    content = read_yaml(path)
    try:
        return _File.model_validate(content).rows
    except ValidationError as error:
        raise ParamsError(
            f"{path}: {explained(error, _File)}", "the head of that file explains each key"
        ) from None


class _File(Section):
    rows: dict[Name, Row]


def _check_read(variant: Variant) -> None:
    if not re.match(_PREDICTOR, variant.read):
        raise ValueError(
            f"variants.{variant.name}.read = {variant.read!r}: must be {', '.join(PREDICTORS)} or "
            "METHOD.PREDICTOR of the comparison with baselines"
        )
