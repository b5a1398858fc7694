"""What parameters a stage reads, leaf by leaf, derived from its source."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from siglip2_multimodal_hash.params import Params, Section

ROOT = Path(__file__).resolve().parents[2]
UNDECLARED = "runtime"
# Of those, what comes out nevertheless: with links, the page leads to the photos' own place.
DECLARED = {"report": {"runtime.coco_root"}}
UNUSED_IN_A_FIT = {
    # Read only where loss.imbalance or loss.objective is another than params.yaml's.
    *("loss.focal_alpha", "loss.focal_gamma", "loss.continuation_beta"),
    *("loss.asymmetric_gamma_pos", "loss.asymmetric_gamma_neg", "loss.asymmetric_clip"),
    *("loss.hash_weight", "loss.lambda_balance", "loss.lambda_decorr"),
}
DVC_FILE = ROOT / "dvc.yaml"


def pipeline_stages() -> dict[str, Any]:
    """The stages in the order of the file, in which they can be run; templates as they stand."""
    stages: dict[str, Any] = YAML(typ="safe").load(DVC_FILE.read_text(encoding="utf-8"))["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


def leaves(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Dotted names of all parameters below a section."""
    for name, field in section.model_fields.items():
        key = f"{prefix}{name}"
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from leaves(kind, f"{key}.")
        else:
            yield key


def sections_by_field(section: type[Section], prefix: str = "") -> dict[str, str]:
    """``Class.field`` -> dotted key, for the leaves of a section."""
    keys: dict[str, str] = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            keys |= sections_by_field(kind, f"{prefix}{name}.")
        else:
            keys[f"{section.__name__}.{name}"] = f"{prefix}{name}"
    return keys


ALL_LEAVES = frozenset(leaves(Params))


def module_file(name: str) -> Path | None:
    """The file of a module of the package; None for others."""
    path = ROOT / "src" / f"{name.replace('.', '/')}.py"
    package = path.with_suffix("") / "__init__.py"
    return next((file for file in (path, package) if file.is_file()), None)


def params_of(stage: str) -> set[str]:
    """Parameters that a stage hands on, leaf by leaf; a section that is handed on counts whole."""
    read = _reads(ROOT / "stages" / f"{stage}.py")
    undeclared = {leaf for leaf in ALL_LEAVES if leaf.startswith(f"{UNDECLARED}.")}
    return read - undeclared | read & DECLARED.get(stage, set())


def _reads(path: Path, function: str | None = None) -> set[str]:
    """Leaves read through a name ``params`` in a file, or in one function of it."""
    tree: ast.AST = ast.parse(path.read_text(encoding="utf-8"))
    if function is not None:
        tree = next(
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name == function
        )
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    read: set[str] = set()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Name) and node.id == "params"):
            continue
        parts: list[str] = []
        top: ast.AST = node
        while isinstance(parent := parents[top], ast.Attribute):
            parts.append(parent.attr)
            top = parent
        if parts:
            key = ".".join(parts)
            matched = {leaf for leaf in ALL_LEAVES if leaf == key or leaf.startswith(f"{key}.")}
            assert matched, f"{path.name} reads params.{key}, which params.yaml does not have"
            read |= matched
        else:
            read |= _reads_of_call(path, parents[node])
    return read


def _reads_of_call(path: Path, node: ast.AST) -> set[str]:
    """Leaves that a function reads which is handed the whole of ``params``."""
    assert isinstance(node, ast.Call), f"{path.name}: `params` may only be read or handed on"
    called = node.func
    attribute = called.attr if isinstance(called, ast.Attribute) else None
    owner = called.value if isinstance(called, ast.Attribute) else called
    assert isinstance(owner, ast.Name)
    for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == owner.id:
            return _reads(path, attribute or owner.id)
        if isinstance(statement, ast.ImportFrom) and owner.id in {a.name for a in statement.names}:
            file = module_file(str(statement.module))
            assert file is not None
            return _reads(file, attribute or owner.id)
    raise AssertionError(f"{path.name}: {owner.id} is not imported")
