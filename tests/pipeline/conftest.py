"""A small mojicoco and its whole pipeline, run once per session in this process, by stages."""

import contextlib
import importlib
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from siglip2_multimodal_hash import entry
from siglip2_multimodal_hash.params import Params, Section
from siglip2_multimodal_hash.presets import override_text
from tests.pipeline.declarations import pipeline_stages

ROOT = Path(__file__).resolve().parents[2]

SMALL = {
    "dataset.mojicoco.train": 90,
    "dataset.mojicoco.restval": 30,
    "dataset.mojicoco.val": 30,
    "dataset.mojicoco.test": 30,
    "training.num_epochs": 3,
    "runtime.dataloader.num_workers": 0,
    "runtime.logging.progress": False,
    "report.queries": 5,
}


def small_params(**more: Any) -> str:
    """params.yaml of the project with a small dataset; ``more`` uses `__` for the dot."""
    overrides = SMALL | {key.replace("__", "."): value for key, value in more.items()}
    return override_text(
        (ROOT / "params.yaml").read_text(encoding="utf-8"), overrides, source="params.yaml"
    )


FinishedRun = tuple[Path, dict[str, set[str]]]
"""The folder of a finished small run, and the parameters that each stage read, leaf by leaf."""

SMALL_PARAMS = YAML(typ="safe").load(small_params())


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make ``folder`` the working directory of the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def commands() -> dict[str, list[str]]:
    """Each stage's module and arguments, with dvc.yaml's templates filled in.

    Those for inputs outside the repository are left out: there are none.
    """
    return {
        name: filled(stage["cmd"]).split()[2:]
        for name, stage in pipeline_stages().items()
        if "${item}" not in stage["cmd"]
    }


def filled(text: str) -> str:
    """A text of dvc.yaml with its templates filled in."""
    for key in ("dataset.name", "dataset.protocol", "backbone.name"):
        section, name = key.split(".")
        text = text.replace(f"${{{key}}}", SMALL_PARAMS[section][name])
    return text


def run_stage(words: list[str]) -> int:
    """Run one stage in this process; its exit code."""
    module = importlib.import_module(words[0])
    before = sys.argv
    sys.argv = list(words)
    paths = [word.removeprefix("--") for word in words[1::2]]
    try:
        entry.run_stage(module.main, *paths)
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder = tmp_path_factory.mktemp("run")
    (folder / "params.yaml").write_text(small_params(), encoding="utf-8")
    shutil.copytree(ROOT / "models", folder / "models")
    for code in ("src", "stages"):
        (folder / code).symlink_to(ROOT / code)
    reads: dict[str, set[str]] = defaultdict(set)
    with working_in(folder):
        for name, words in commands().items():
            with recorded_reads(reads[name]):
                assert run_stage(words) == 0, name
    return folder, dict(reads)


# The room where parameters and their combinations are looked at: no use of any of them.
_LOADING = Params.__module__.rpartition(".")[0]


@contextlib.contextmanager
def recorded_reads(read: set[str]) -> Iterator[None]:
    """Note ``Class.field`` of every parameter that is read in the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Section, "__getattribute__", _recording(Section.__getattribute__, read))
        yield


def _recording(original: Any, read: set[str]) -> Any:
    """``Section.__getattribute__`` that notes (section, field) of every parameter it gives out."""

    def getattribute(self: Section, name: str) -> Any:
        value = original(self, name)
        reader = str(sys._getframe(1).f_globals["__name__"])
        if name in type(self).model_fields and not reader.startswith(_LOADING):
            read.add(f"{type(self).__name__}.{name}")
        return value

    return getattribute
