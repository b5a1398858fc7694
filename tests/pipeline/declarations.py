"""Declarations of dvc.yaml, compared with what a run of a stage read."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from siglip2_multimodal_hash.params import Params, Section

ROOT = Path(__file__).resolve().parents[2]
DVC_FILE = ROOT / "dvc.yaml"
UNDECLARED = "runtime."


def pipeline_stages() -> dict[str, Any]:
    """The stages in the order of the file, in which they can be run; templates as they stand."""
    stages: dict[str, Any] = YAML(typ="safe").load(DVC_FILE.read_text(encoding="utf-8"))["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


def fields(section: type[Section] = Params, prefix: str = "") -> Iterator[tuple[str, str]]:
    """``Class.field`` and dotted name of each parameter below a section."""
    for name, field in section.model_fields.items():
        key, kind = f"{prefix}{name}", field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from fields(kind, f"{key}.")
        else:
            yield f"{section.__name__}.{name}", key


def covers(declared: str, key: str) -> bool:
    """Test whether a declared section or parameter is or holds a parameter."""
    return key == declared or key.startswith(f"{declared}.")


def check_reads(stage: str, recorded: Collection[str], unread: Collection[str] = ()) -> None:
    """Hold what a run of a stage read, ``Class.field`` each, against what it declares.

    ``unread`` names declared parameters that this run had no reason to read.
    """
    names = dict(fields())
    read = {names[one] for one in recorded if one in names}
    declared = pipeline_stages()[stage].get("params", [])
    undeclared = {
        key
        for key in read
        if not key.startswith(UNDECLARED) and not any(covers(one, key) for one in declared)
    }
    assert not undeclared, f"read but not declared: {sorted(undeclared)}"
    idle = {one for one in declared if not any(covers(one, key) for key in read)}
    assert idle <= set(unread), f"declared but not read: {sorted(idle)}"
