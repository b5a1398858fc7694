"""DVC itself on a small mojicoco: experiments, what they re-run, and how bad parameters end."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from siglip2_multimodal_hash.datasets.manifest import RERUN
from tests.pipeline.conftest import ROOT, small_params

TRACKED = (
    "src",
    "stages",
    "models",
    "configs",
    "dvc.yaml",
    "tuning",
    ".dvcignore",
    ".gitignore",
)
GIT = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "test"), ("EMAIL", "test@example.invalid"))
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a finished `dvc repro` of a small dataset, all committed."""
    folder = tmp_path_factory.mktemp("repository")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in TRACKED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    (folder / "params.yaml").write_text(small_params(), encoding="utf-8")
    for command in ("git init -q", "dvc init -q", "dvc config core.analytics false"):
        assert _run(folder, *command.split()).returncode == 0
    result = _run(folder, "dvc", "repro")
    assert result.returncode == 0, result.stdout + result.stderr
    for command in (["git", "add", "-A"], ["git", "commit", "-qm", "run"]):
        assert _run(folder, *command).returncode == 0
    return folder


def test_nothing_runs_twice_and_git_stays_clean(repository):
    result = _run(repository, "dvc", "repro")
    assert result.returncode == 0
    assert "Running stage" not in result.stdout
    assert _run(repository, "git", "status", "--porcelain").stdout == ""


def test_the_remedy_for_a_changed_source_looks_at_it_again(repository):
    # DVC does not see into a source outside the repository: a plain repro skips the stage.
    command = RERUN.split("`")[1].split()
    result = _run(repository, *command)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Running stage 'prepare_dataset'" in result.stdout
    assert "Running stage 'embed'" not in result.stdout
    assert _run(repository, "git", "status", "--porcelain").stdout == ""


def test_an_experiment_runs_only_what_its_parameter_reaches(repository):
    result = _run(repository, "dvc", "exp", "run", "-S", "hash.bits=32", "-n", "bits-32")
    assert result.returncode == 0, result.stdout + result.stderr
    ran = {
        line.split("'")[1]
        for line in result.stdout.splitlines()
        if line.startswith("Running stage")
    }
    untouched = {"prepare_dataset", "download_karpathy_split", "build_dataset_index", "embed"}
    assert not ran & untouched
    assert {"train", "extract_hashes", "build_faiss_index", "evaluate_knn", "summarise"} <= ran
    shown = _run(repository, "dvc", "exp", "show", "--csv")
    assert "bits-32" in shown.stdout
    changed = _run(repository, "dvc", "metrics", "diff", "HEAD", "--md")
    assert "retrieval" in changed.stdout
    restored = _run(repository, "git", "checkout", "-q", ".")
    assert restored.returncode == 0
    assert _run(repository, "dvc", "checkout", "-q").returncode == 0


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("hash.bits=sixty", ("hash.bits", "sixty", "64")),
        ("hash.bit=64", ("bit",)),
        ("knn.K=0", ("knn.K", "0", "greater than or equal to 1")),
    ],
)
def test_a_bad_override_ends_in_one_message(repository, override, words):
    result = _run(repository, "dvc", "exp", "run", "-S", override)
    message = result.stdout + result.stderr
    assert result.returncode != 0
    assert "Traceback" not in message
    for word in words:
        assert word in message
    assert _run(repository, "git", "checkout", "-q", ".").returncode == 0
    assert _run(repository, "dvc", "checkout", "-q").returncode == 0


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    tools = str(Path(sys.executable).parent)
    environment = os.environ | GIT | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
