"""DESIGN section 5, point 12: pickle is not a data format, anywhere in this project's code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# torch.save and torch.load pickle; so do pandas' two methods.
CALLS = {"read_pickle", "to_pickle", "torch.load", "torch.save"}


def offences(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in PICKLERS)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = {f"{module}.{alias.name}" for alias in node.names}
            yield from names & CALLS
            if module.split(".")[0] in PICKLERS:
                yield module
        elif isinstance(node, ast.Attribute):
            whole = ast.unparse(node)
            yield from {whole, node.attr} & CALLS
        elif isinstance(node, ast.keyword) and ast.unparse(node) == "allow_pickle=False":
            pass
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            yield "allow_pickle"


def modules() -> list[Path]:
    return sorted(path for room in ("src", "stages") for path in (ROOT / room).rglob("*.py"))


def test_point_12_no_pickle_in_the_code() -> None:
    assert len(modules()) > 50
    found = {path: list(offences(path.read_text(encoding="utf-8"))) for path in modules()}
    assert {str(path): names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, joblib.externals",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "from torch import save",
        "np.load('x', allow_pickle=True)",
        "np.load('x', allow_pickle=flag)",
        "frame.to_pickle('x')",
    ],
)
def test_the_search_finds_what_it_is_for(source: str) -> None:
    assert list(offences(source))


def test_the_search_passes_what_is_harmless() -> None:
    assert not list(offences("np.load('x', allow_pickle=False)\nhub.load('x')\n'pickle'"))
