"""DVCLive inside a stage of a real DVC project: plots can be shown, the run cache keeps working."""

import json
import sys
from pathlib import Path

import pytest

from tests.pipeline.repositories import init_dvc, run_in

ROOT = Path(__file__).resolve().parents[2]

STAGE = """
from pathlib import Path
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.training.trackers import Live, open_trackers

logs = load_params(Path(PARAMS)).runtime.logging.model_copy(update={"use_dvclive": True})
with open_trackers(logs, Live(Path("live"), dict), 0, {}) as trackers:
    for update in (2, 4):
        trackers.log({"train/total": 1 / update}, update)
Path("out").write_text("weights")
"""
DVC_FILE = """
stages:
  train:
    cmd: {python} stage.py
    deps: [stage.py]
    outs: [out]
"""
OF_A_STAGE = ("DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV")
METRICS = "live/dvclive/plots/metrics/train/total.tsv"


@pytest.fixture(autouse=True)
def _no_stage_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OF_A_STAGE:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path, tmp_path)


def make_project(repository: Path, folder: Path) -> Path:
    """Put a DVC project into a folder of a Git repository, and commit it."""
    folder.mkdir(exist_ok=True)
    stage = STAGE.replace("PARAMS", repr(str(ROOT / "params.yaml")))
    (folder / "stage.py").write_text(stage)
    (folder / "dvc.yaml").write_text(DVC_FILE.format(python=sys.executable))
    (folder / ".gitignore").write_text("/live/\n/out\n")
    run(repository, "git", "init", "-q")
    init_dvc(folder, subdir=folder != repository)
    run(repository, "git", "add", "-A")
    run(repository, "git", "commit", "-qm", "start")
    return folder


def run(folder: Path, *command: str, **variables: str) -> str:
    done = run_in(folder, *command, PYTHONPATH=str(ROOT / "src"), **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dvc(folder: Path, *arguments: str, **variables: str) -> str:
    return run(folder, "dvc", *arguments, **variables)


def test_dvc_shows_the_figures_and_restores_the_output_from_its_run_cache(project: Path) -> None:
    pytest.importorskip("dvclive")
    dvc(project, "repro")
    shown = json.loads(dvc(project, "plots", "show", METRICS, "--json"))
    (plot,) = shown["data"][METRICS]
    assert [point["total"] for point in plot["content"]["data"]["values"]] == ["0.5", "0.25"]
    assert run(project, "git", "status", "--porcelain").split() == ["??", "dvc.lock"]
    assert run(project, "git", "for-each-ref", "refs/exps") == ""
    (project / "out").unlink()
    (project / "dvc.lock").unlink()
    (project / METRICS).unlink()
    dvc(project, "repro")
    assert (project / "out").read_text() == "weights"
    assert not (project / METRICS).exists(), "restored, not run again"


def test_what_follows_a_copy_of_the_repository_outlives_it(tmp_path: Path) -> None:
    pytest.importorskip("dvclive")
    project = make_project(tmp_path, tmp_path / "project")
    dvc(project, "exp", "run", "--temp", "-n", "first")
    rows = (project / "live/first/dvclive/plots/metrics/train/total.tsv").read_text()
    assert rows == "step\ttotal\n2\t0.5\n4\t0.25\n"
    assert list((project / "live").iterdir()) == [project / "live/first"]


def test_a_project_within_a_stage_of_another_keeps_what_follows_it(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("dvclive")
    other = tmp_path_factory.mktemp("other")
    dvc(project, "repro", DVC_ROOT=str(other), DVC_EXP_NAME="outer")
    assert (project / METRICS).is_file()
    assert not list(other.iterdir())
