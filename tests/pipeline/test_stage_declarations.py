"""dvc.yaml declares what a stage reads: code by its imports, data by its command.

Parameters are recorded in a run, see test_small_pipeline.
"""

from pathlib import Path

import grimp
import pytest

from tests.pipeline.declarations import ROOT, UNDECLARED, covers, fields, pipeline_stages

STAGES = pipeline_stages()
PACKAGE = "src/siglip2_multimodal_hash"
# Shared by all stages. An edit there changes no result, or is one of those that `dvc repro --force`
# is for: how arrays are read and refused, which kernels compute, what a parameter is called.
SUPPORT = {
    *(Path(PACKAGE, f"{name}.py") for name in ("entry", "errors", "files", "kernels")),
    *(Path(PACKAGE, f"{name}.py") for name in ("arrays", "progress", "resume")),
    *(Path(PACKAGE, name) for name in ("memory", "params")),
}
# Written beside what the command names, or known to the stage from params.yaml.
UNNAMED = ("params.yaml", "inputs/", "models/", "outputs/params_checked.json")

IMPORTS = grimp.build_graph("siglip2_multimodal_hash", "stages", cache_dir=None)


def file_of(module: str) -> Path:
    """The file of a module, from the root."""
    path = Path(("" if module.startswith("stages") else "src/") + module.replace(".", "/"))
    return path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")


def within(path: Path, places: set[Path]) -> bool:
    return any(place in (path, *path.parents) for place in places)


def code_of(stage: str) -> set[Path]:
    """The files that a stage's script imports, however deep and whenever, and itself."""
    script = f"stages.{stage}"
    return {file_of(module) for module in (script, *IMPORTS.find_upstream_modules(script))}


def dependencies(stage: str) -> set[str]:
    return set(STAGES[stage]["deps"])


@pytest.mark.parametrize("stage", STAGES)
def test_code_is_declared(stage: str) -> None:
    declared = {Path(dep) for dep in dependencies(stage) if dep.startswith(("src/", "stages/"))}
    read = {path for path in code_of(stage) if path.name != "__init__.py"}
    missing = {path for path in read if not within(path, declared | SUPPORT)}
    assert not missing, f"dvc.yaml, {stage}, deps: add {sorted(map(str, missing))}"
    unread = {place for place in declared if not any(within(path, {place}) for path in read)}
    assert not unread, f"dvc.yaml, {stage}, deps: remove {sorted(map(str, unread))}"


@pytest.mark.parametrize("stage", STAGES)
def test_data_are_declared(stage: str) -> None:
    words = STAGES[stage]["cmd"].replace('"', "").split()[3:]
    named = {word for word in words if "/" in word and not word.startswith("live/")}
    outs = {out if isinstance(out, str) else next(iter(out)) for out in STAGES[stage]["outs"]}
    assert named <= dependencies(stage) | outs
    data = {dep for dep in dependencies(stage) if not dep.startswith(("src/", "stages/", *UNNAMED))}
    # An index has a description next to it, and the mark of the checks is read by nobody.
    described = {name.removesuffix(".json") for name in data} | {
        "outputs/${dataset.name}/params_checked"
    }
    assert all(name in named or name.removesuffix(".json") in described for name in data - named)


def test_every_stage_script_is_a_stage() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert scripts == set(STAGES)


def test_every_parameter_outside_runtime_is_declared_by_a_stage() -> None:
    declared = {key for stage in STAGES.values() for key in stage.get("params", [])}
    for _, leaf in fields():
        assert leaf.startswith(UNDECLARED) or any(covers(key, leaf) for key in declared), leaf


def test_stage_scripts_are_short() -> None:
    for path in (ROOT / "stages").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 65, path.name


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_summary_leaves_the_cache(stage: str) -> None:
    uncached = [
        out
        for out in STAGES[stage]["outs"]
        if not isinstance(out, str) and next(iter(out.values())).get("cache") is False
    ]
    assert bool(uncached) == (stage == "summarise")
