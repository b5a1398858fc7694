"""Read ``configs/ablations.yaml`` strictly: rows of experiments, each with its question."""

import difflib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.params import PREDICTORS

ABLATIONS_FILE = Path("configs/ablations.yaml")

# Names become parts of a Git reference and of file names: no two dots in a row.
_NAME = r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$"
_PREDICTOR = r"^(knn|mlp|hybrid|[a-z0-9_]+\.[a-z0-9_]+)$"
Name = Annotated[str, Field(pattern=_NAME)]
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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Row(_Strict):
    """One row: a question and the variants that answer it."""

    tier: Name
    about: Name
    question: Annotated[str, Field(min_length=1)]
    fixed: Values = {}
    reference: Name
    seeds: Annotated[int, Field(ge=1)]
    only: Values = {}
    needs: str = ""
    variants_by_name: Annotated[dict[Name, Values], Field(alias="variants")] = {}
    product: dict[str, list[Any]] = {}

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
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file", "run from the root of the project") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from None
    try:
        return _File.model_validate(content).rows
    except ValidationError as error:
        lines = [_explain(detail) for detail in error.errors(include_url=False)]
        raise ParamsError(
            f"{path}: " + "; ".join(lines), "the head of that file explains each key"
        ) from None


class _File(_Strict):
    rows: dict[Name, Row]


def _check_read(variant: Variant) -> None:
    if not re.match(_PREDICTOR, variant.read):
        raise ValueError(
            f"variants.{variant.name}.read = {variant.read!r}: must be {', '.join(PREDICTORS)} or "
            "METHOD.PREDICTOR of the comparison with baselines"
        )


def _explain(detail: Mapping[str, Any]) -> str:
    """One error of pydantic as ``key = value: what is allowed``."""
    key = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    kind, value = detail["type"], detail["input"]
    if kind == "value_error":
        return f"{key}.{detail['ctx']['error']}"
    if kind == "extra_forbidden":
        known = _known() if len(detail["loc"]) > 1 else ["rows"]
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        return f"{key}: unknown key (known here: {', '.join(known)}){hint}"
    if kind == "missing":
        return f"{key}: missing"
    if kind == "string_pattern_mismatch":
        return f"{key} = {value!r}: letters and digits, joined by single `.`, `-` or `_`"
    return f"{key} = {value!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _known() -> list[str]:
    return [field.alias or name for name, field in Row.model_fields.items()]
