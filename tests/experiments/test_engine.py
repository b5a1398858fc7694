"""`smhash ablate` in a repository of Git and DVC whose experiments take a second."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from siglip2_multimodal_hash.experiments.repository import Repository
from tests.experiments.small_repository import ROOT, commit_line, make_repository, run, smhash
from tests.pipeline.repositories import environment
from tests.signalling import INTERRUPTIBLE_COMMAND, wait_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("ablate")
    make_repository(found)
    return found


COMMAND = ("-m", "siglip2_multimodal_hash.cli")


def recorded(folder: Path) -> dict[str, str]:
    return {name: same[0].commit for name, same in Repository(folder).experiments().items()}


def begin(folder: Path, mark: Path, command: tuple[str, ...], *words: str) -> subprocess.Popen:
    """Start the command and wait until an experiment has begun, which writes the mark."""
    process = subprocess.Popen(
        [sys.executable, *command, "ablate", *words],
        cwd=folder,
        env=environment() | {"PYTHONPATH": str(ROOT / "src"), "SLOW": str(mark)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(mark, process)
    return process


def copies(folder: Path) -> list[Path]:
    """Of the repository, that DVC's queue made to run experiments in."""
    return list((folder / ".dvc/tmp/exps").glob("tmp*"))


def processes(folder: Path) -> list[int]:
    """All whose working folder lies there."""
    there = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(one.cwd()).is_relative_to(folder):
                there.append(one.pid)
    return there


def workspace(folder: Path) -> tuple[str, str]:
    state = run(folder, "git", "status", "--porcelain")
    return state, (folder / "outputs/evaluation/figures.json").read_text()


def test_runs_what_is_missing_goes_on_after_a_failure_and_leaves_the_workspace(folder):
    before = workspace(folder)
    first = smhash(folder, "ablate", "C1", "--seeds", "1")
    assert first.returncode == 1, first.stdout + first.stderr
    assert "4 experiments: 0 there, 0 of another make, 4 to run" in first.stdout
    assert "left" in first.stdout
    assert "FAILED C1-k-50-s0: error: fifty are too many | -> take fewer" in first.stderr
    assert "Traceback" not in first.stdout + first.stderr
    there = recorded(folder)
    assert set(there) == {"C1-k-5-s0", "C1-k-10-s0", "default-s0"}
    assert workspace(folder) == before
    assert Repository(folder).seconds(there["C1-k-5-s0"]) > 0

    again = smhash(folder, "ablate", "C1", "--seeds", "1")
    assert again.returncode == 1
    assert "4 experiments: 3 there, 0 of another make, 1 to run" in again.stdout
    assert recorded(folder) == there


def test_interrupted_it_stops_and_the_next_goes_on(folder, tmp_path):
    before, there = workspace(folder), recorded(folder)
    mark = tmp_path / "mark"
    process = begin(folder, mark, ("-c", INTERRUPTIBLE_COMMAND), "C4", "--seeds", "1")
    refused = smhash(folder, "ablate", "C4", "--seeds", "1")
    assert refused.returncode == 2
    assert "another `smhash ablate`" in refused.stderr
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(120) == 130
    assert "interrupted" in process.stderr.read()
    assert workspace(folder) == before
    assert recorded(folder) == there
    assert list((folder / ".dvc/tmp/exps/standalone").glob("tmp*")) == []

    resumed = smhash(folder, "ablate", "C4", "--seeds", "1")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    new = set(recorded(folder)) - set(there)
    # The reference of all rows may be there from another row.
    assert new - {"default-s0"} == {"C4-tau-0.03-s0", "C4-tau-0.2-s0"}


def test_a_changed_file_is_refused_and_named(folder):
    path = folder / "stages/make.py"
    text = path.read_text()
    path.write_text(text + "# changed\n")
    (folder / "notes.txt").write_text("of no concern")
    result = smhash(folder, "ablate", "C1")
    path.write_text(text)
    (folder / "notes.txt").unlink()
    assert result.returncode == 2
    assert "1 file(s) changed since the last commit: stages/make.py" in result.stderr
    assert "git commit" in result.stderr


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project two folders below the root of Git."""
    root = tmp_path_factory.mktemp("root")
    (root / "README").touch()
    found = root / "ml" / "hash"
    found.mkdir(parents=True)
    make_repository(found, root)
    return found


def test_below_the_root_of_git_only_the_projects_own_changes_count(below):
    outside, code = below.parents[1] / "README", below / "src/new.py"
    outside.write_text("changed")
    code.parent.mkdir()
    code.touch()
    assert Repository(below).changed_files() == ["src/new.py"]
    code.unlink()
    assert Repository(below).changed_files() == []
    run(below, "git", "checkout", "-q", str(outside))


@pytest.mark.slow
@pytest.mark.parametrize("how", [(), ("--queue", "--jobs", "2")])
def test_a_row_below_the_root_of_git(below, how):
    seed = "2" if how else "1"
    result = smhash(below, "ablate", "C4", "--seeds", seed, *how)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {f"C4-tau-{tau}-s{int(seed) - 1}" for tau in ("0.03", "0.2")} <= set(recorded(below))
    table = smhash(below, "table", "C4", "--seeds", seed)
    assert (table.returncode, "Not run yet" in table.stdout) == (0, False), table.stderr
    compared = smhash(below, "compare", "HEAD", "C4-tau-0.2-s0")
    assert compared.returncode == 0, compared.stderr


def test_an_unknown_row_ends_with_near_matches(folder):
    result = smhash(folder, "ablate", "c5")
    assert result.returncode == 2
    assert "did you mean C4" in result.stderr


def test_what_a_report_is_made_by_may_change(folder):
    there = recorded(folder)
    commit_line(folder, "stages/report.py", "# another page")
    result = smhash(folder, "ablate", "A3", "--seeds", "1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == "1 experiment: 1 there, 0 of another make, 0 to run\n"
    assert recorded(folder) == there


def test_other_code_is_said_and_runs_again_under_force_only(folder):
    there = recorded(folder)
    commit_line(folder, "stages/make.py", "# another version")
    result = smhash(folder, "ablate", "A3", "--seeds", "1")
    assert result.returncode == 1
    assert "default-s0: is there with other code: " in result.stdout
    assert "--force runs it again" in result.stdout
    assert recorded(folder) == there
    forced = smhash(folder, "ablate", "A3", "--seeds", "1", "--force")
    assert forced.returncode == 0, forced.stdout + forced.stderr
    assert recorded(folder)["default-s0"] != there["default-s0"]
    assert "1 there" in smhash(folder, "ablate", "A3", "--seeds", "1").stdout


@pytest.mark.slow
def test_the_same_name_with_other_parameters_is_kept_where_the_new_one_fails(folder):
    run(folder, "dvc", "exp", "run", "-q", "--temp", "-n", "C1-k-50-s0", "-S", "knn.K=7")
    before = recorded(folder)
    result = smhash(folder, "ablate", "C1", "--seeds", "1")
    assert "C1-k-50-s0: is there with other parameters: knn.K" in result.stdout
    forced = smhash(folder, "ablate", "C1", "--seeds", "1", "--force")
    assert "FAILED C1-k-50-s0" in forced.stderr
    assert recorded(folder)["C1-k-50-s0"] == before["C1-k-50-s0"]
    run(folder, "dvc", "exp", "remove", "-q", "C1-k-50-s0")


@pytest.mark.slow
def test_the_queue_does_the_same(folder):
    before = workspace(folder)
    result = smhash(folder, "ablate", "grid-vote", "--seeds", "1", "--queue", "--jobs", "2")
    assert result.returncode == 1, result.stdout + result.stderr
    there = recorded(folder)
    assert {"grid-vote-k-tau-10-0.03-s0", "grid-vote-k-tau-20-0.15-s0"} <= set(there)
    assert "FAILED grid-vote-k-tau-50-0.03-s0: error: fifty are too many" in result.stderr
    assert workspace(folder) == before


def test_an_experiment_that_runs_in_the_workspace_is_named(folder, tmp_path):
    mark = tmp_path / "mark"
    process = subprocess.Popen(
        ["dvc", "exp", "run", "-n", "mine", "-S", "knn.K=7"],
        cwd=folder,
        env=environment() | {"SLOW": str(mark)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(mark, process)
        result = smhash(folder, "ablate", "C2", "--seeds", "1")
    finally:
        for stage in psutil.Process(process.pid).children(recursive=True):
            stage.kill()
        process.wait(100)
        run(folder, "git", "checkout", "-q", ".")
        run(folder, "dvc", "checkout", "-q")
    assert result.returncode == 2
    assert "experiment mine is running in this workspace" in result.stderr
    assert "one at a time, others with --temp or --queue" in result.stderr
    assert "git stash" not in result.stderr


@pytest.mark.slow
def test_an_interrupted_queue_is_stopped_and_emptied(folder, tmp_path):
    before, there = workspace(folder), recorded(folder)
    mark = tmp_path / "mark"
    process = begin(folder, mark, COMMAND, "C1", "C2", "--seeds", "2", "--queue")
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(200) == 130
    states = run(folder, "dvc", "queue", "status")
    assert "Queued" not in states
    assert "Running" not in states
    assert copies(folder) == []
    assert workspace(folder) == before
    assert set(recorded(folder)) == set(there)


@pytest.mark.slow
def test_an_experiment_whose_worker_is_killed_is_not_waited_for(folder, tmp_path):
    mark = tmp_path / "mark"
    process = begin(folder, mark, COMMAND, "C2", "--seeds", "3", "--queue")
    (worker,) = (folder / ".dvc/tmp/exps/celery").glob("dvc-exp-worker-1.pid")
    os.kill(int(worker.read_text()), signal.SIGKILL)
    # It is given up, and a new worker takes the next one.
    mark.unlink()
    wait_for(mark, process)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(200) == 130
    assert "interrupted" in process.stderr.read()
    states = run(folder, "dvc", "queue", "status")
    assert "Queued" not in states
    assert "Running" not in states
    # The copy of the one whose worker was killed stays until the next call.
    resumed = smhash(folder, "ablate", "C2", "--seeds", "1", "--queue")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert copies(folder) == []


@pytest.mark.slow
def test_what_is_killed_whole_is_cleared_up_by_the_next(folder, tmp_path):
    process = begin(folder, tmp_path / "mark", COMMAND, "C4", "--seeds", "3", "--queue")
    for one in (process.pid, *processes(folder)):
        os.kill(one, signal.SIGKILL)
    process.wait()
    assert len(copies(folder)) == 1
    assert "Running" in run(folder, "dvc", "queue", "status")
    resumed = smhash(folder, "ablate", "C4", "--seeds", "2", "--queue")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert copies(folder) == []
    assert "Running" not in run(folder, "dvc", "queue", "status")


def test_a_dry_run_runs_nothing(folder):
    before = recorded(folder)
    result = smhash(folder, "ablate", "A2", "--seeds", "2", "--dry-run")
    assert result.returncode == 0
    assert "A2-bits-128-s1  hash.bits=128 seed=43 (without baselines)" in result.stdout
    assert recorded(folder) == before


def test_another_backbone_has_experiments_of_its_own(folder, tmp_path):
    copy, row = shutil.copytree(folder, tmp_path / "copy", symlinks=True), ("A3", "--seeds", "1")
    assert smhash(copy, "ablate", *row).returncode == 0
    assert smhash(copy, "use", "-S", "backbone.name=mine").returncode == 0
    run(copy, "git", "commit", "-qam", "another backbone")
    none = smhash(copy, "table", *row, "--draws", "100")
    assert (none.returncode, "`smhash ablate A3` runs them" in none.stderr) == (2, True)
    result = smhash(copy, "ablate", *row)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 experiment: 0 there, 0 of another make, 1 to run" in result.stdout
    assert {"default-s0", "mojicoco-karpathy-mine-default-s0"} <= set(recorded(copy))
    table = smhash(copy, "table", *row, "--draws", "100")
    assert table.returncode == 0, table.stderr
    assert "Left out" not in table.stdout


def test_other_parameters_are_no_other_code(folder):
    run(folder, "dvc", "exp", "run", "-q", "--temp", "-n", "eleven", "-S", "knn.K=11")
    commits = ("HEAD", recorded(folder)["eleven"])
    assert len({Repository(folder).code_version(commit) for commit in commits}) == 1
