"""Read ``params.yaml`` strictly and say what is wrong with it.

A key that is not known, a value of the wrong type, a value out of range, a combination that cannot
work: each is refused with the key's full name, the value and what is allowed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from siglip2_multimodal_hash.errors import ParamsError, did_you_mean
from siglip2_multimodal_hash.params.whole import Params

PARAMS_FILE = Path("params.yaml")
_EXPLAINED = f"{PARAMS_FILE} explains each key"


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check ``params.yaml``.

    Raises:
        ParamsError: The file is missing, is not YAML, or breaks a rule; every broken rule is
            listed, each with the key's full name, its value and what is allowed.
    """
    remedy = f"correct {path}, or the -S override; {_EXPLAINED}"
    return parse_params(read_yaml(path), source=str(path), remedy=remedy)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file of the project.

    Raises:
        ParamsError: The file is missing or is not YAML.
    """
    try:
        # YAML 1.2, as DVC reads it: `1e-3` is a number there and a string in YAML 1.1.
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file", "run from the root of the project") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from None


def parse_params(raw: Any, *, source: str = "params", remedy: str = _EXPLAINED) -> Params:
    """Check a nested dict of parameters; see :func:`load_params`.

    Args:
        raw: All sections.
        source: Their origin, for the message.
        remedy: Advice where a rule is broken.

    Raises:
        ParamsError: Rules are broken; all of them are listed.
    """
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(f"{source}: {explained(error, Params)}", remedy) from None


def flatten(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested parameters by their full names, in order; a list is a leaf."""
    leaves: dict[str, Any] = {}
    for key, value in section.items():
        name = f"{prefix}{key}"
        leaves |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return leaves


def explained(error: ValidationError, root: type[BaseModel]) -> str:
    """Every broken rule, each with the key's full name, its value and what is allowed."""
    return "; ".join(_explain(detail, root) for detail in error.errors(include_url=False))


def _explain(detail: Any, root: type[BaseModel]) -> str:
    """One pydantic error as ``key = value: what is allowed``."""
    key = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    kind, value = detail["type"], detail["input"]
    if kind == "value_error":
        reason = str(detail["ctx"]["error"])
        return f"{key}.{reason}" if key else reason
    if kind == "extra_forbidden":
        return f"{key} = {value!r}: unknown key ({_known_keys(root, *detail['loc'])})"
    if kind == "missing":
        return f"{key}: missing"
    if kind == "model_type":
        return f"{key or 'the file'} = {value!r}: must be a section, with keys and values"
    # Python's tuple is YAML's list.
    reason = detail["msg"].replace("tuple", "list").replace("Tuple", "List")
    return f"{key} = {value!r}: {reason[0].lower()}{reason[1:]}"


def _known_keys(root: Any, *location: str | int) -> str:
    """The keys that a section has, for the message about one that it has not."""
    *parents, wrong = map(str, location)
    section = root
    for part in parents:
        # The values of a mapping whose keys are names are sections, too.
        mapped = get_args(section)
        section = mapped[1] if mapped else section.model_fields[part].annotation
    known = [field.alias or name for name, field in section.model_fields.items()]
    hint = did_you_mean(wrong, known)
    return f"known here: {', '.join(known)}" + (f"; {hint}" if hint else "")
