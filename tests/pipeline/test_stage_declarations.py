"""dvc.yaml declares exactly what each stage reads: parameters by leaf, and its list of modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from siglip2_multimodal_hash.modules import FOLDERS, LISTING, Sources


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


declarations = _load("declarations")
STAGES = declarations.pipeline_stages()


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_are_those_that_the_stage_reads(stage):
    declared = set(STAGES[stage].get("params", []))
    derived = declarations.params_of(stage)
    assert declared == derived, (
        f"dvc.yaml, {stage}, params: add {sorted(derived - declared)}, "
        f"remove {sorted(declared - derived)}"
    )


def test_every_stage_depends_on_the_list_of_its_modules_alone():
    lists = {f"modules/{name}.txt" for name in STAGES if name != LISTING}
    assert set(STAGES[LISTING]["outs"]) == lists
    for name, stage in STAGES.items():
        code = [dep for dep in stage["deps"] if dep.startswith(("modules/", *FOLDERS.values()))]
        assert name == LISTING or code == [f"modules/{name}.txt"]


def test_the_lists_are_made_anew_where_a_listed_file_changes():
    watched = [declarations.ROOT / dep for dep in STAGES[LISTING]["deps"]]
    sources = Sources.in_folder(declarations.ROOT)
    for name in (*sources.stages(), LISTING):
        for path in map(declarations.ROOT.joinpath, sources.of_stage(name)):
            assert any(path == one or one in path.parents for one in watched), (name, path)


def test_every_stage_script_is_a_stage():
    scripts = {path.stem for path in (declarations.ROOT / "stages").glob("*.py")} - {"__init__"}
    assert scripts == set(STAGES)


def test_every_parameter_outside_runtime_is_declared_by_a_stage():
    declared = {key for stage in STAGES.values() for key in stage.get("params", [])}
    outside = {leaf for leaf in declarations.ALL_LEAVES if not leaf.startswith("runtime.")}
    assert declared == outside.union(*declarations.DECLARED.values())


def test_stage_scripts_are_short():
    for path in (declarations.ROOT / "stages").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 65, path.name


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_summary_leaves_the_cache(stage):
    flagged = [out for out in STAGES[stage]["outs"] if isinstance(out, dict)]
    uncached = [out for out in flagged for flags in out.values() if not flags.get("cache", True)]
    assert bool(uncached) == (stage == "summarise")
