"""`smhash ablate` in a repository of Git and DVC whose experiments take a second."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

import psutil
import pytest

from siglip2_multimodal_hash.experiments.engine import CLONES, gpus
from siglip2_multimodal_hash.experiments.repository import Repository
from siglip2_multimodal_hash.files import main_repository
from tests.experiments.small_repository import ROOT, commit_line, make_repository, run, smhash
from tests.pipeline.repositories import environment
from tests.signalling import INTERRUPTIBLE_COMMAND, wait_for


@pytest.fixture(scope="module")
def folder(new_repository: Callable[[str], Path]) -> Path:
    return new_repository("ablate")


COMMAND = ("-m", "siglip2_multimodal_hash.cli")


def recorded(folder: Path) -> dict[str, str]:
    return {name: same[0].commit for name, same in Repository(folder).experiments().items()}


# A shell says 130 of both. CPython ends by the signal where it struck within `exec`, as dataclasses
# call it while modules are imported.
INTERRUPTED = (130, -signal.SIGINT)


def begin(
    folder: Path, command: tuple[str, ...], *words: str, **variables: object
) -> subprocess.Popen[str]:
    """Start the command."""
    return subprocess.Popen(
        [sys.executable, *command, "ablate", *words],
        cwd=folder,
        env=environment()
        | {"PYTHONPATH": str(ROOT / "src")}
        | {name: str(value) for name, value in variables.items()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def clones(folder: Path) -> list[str]:
    """Of the repository, to run experiments in."""
    return sorted(path.name for path in (folder / ".dvc/tmp/exps/ablations").glob("*"))


def running(folder: Path, groups: Collection[int] = ()) -> list[str]:
    """Processes whose working folder lies there, or that are of one of some groups."""
    there = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            ended = one.status() == psutil.STATUS_ZOMBIE
            if not ended and (
                Path(one.cwd()).is_relative_to(folder) or os.getpgid(one.pid) in groups
            ):
                there.append(f"{one.pid} {one.cmdline()}")
    return there


def groups_of(process: subprocess.Popen[str]) -> set[int]:
    """Groups of the processes that one has started."""
    found = set()
    with contextlib.suppress(psutil.Error):
        for one in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(ProcessLookupError):
                found.add(os.getpgid(one.pid))
    return found - {os.getpgid(0)}


def workspace(folder: Path) -> tuple[str, str]:
    state = run(folder, "git", "status", "--porcelain")
    return state, (folder / "outputs/evaluation/figures.json").read_text()


def test_runs_what_is_missing_goes_on_after_a_failure_and_leaves_the_workspace(
    folder: Path, tmp_path: Path
) -> None:
    before = workspace(folder)
    first = smhash(folder, "ablate", "C1", "--seeds", "1")
    assert first.returncode == 1, first.stdout + first.stderr
    assert "4 experiments: 0 done, 0 stale, 4 to run" in first.stdout
    assert "left" in first.stdout
    assert "FAILED C1-k-50-s0: error: fifty are too many | -> take fewer" in first.stderr
    assert "Traceback" not in first.stdout + first.stderr
    there = recorded(folder)
    assert set(there) == {"C1-k-5-s0", "C1-k-10-s0", "default-s0"}
    assert workspace(folder) == before
    assert (Repository(folder).seconds(there["C1-k-5-s0"]) or 0) > 0

    page = tmp_path / "C1.html"
    again = smhash(folder, "ablate", "C1", "--seeds", "1", "--report", str(page))
    assert again.returncode == 1
    assert "Not run yet: C1-k-50-s0" in page.read_text(encoding="utf-8")
    assert "4 experiments: 3 done, 0 stale, 1 to run" in again.stdout
    assert recorded(folder) == there


def test_interrupted_it_stops_and_the_next_goes_on(folder: Path, tmp_path: Path) -> None:
    before, there = workspace(folder), recorded(folder)
    mark = tmp_path / "mark"
    process = begin(folder, ("-c", INTERRUPTIBLE_COMMAND), "methods", "--seeds", "1", SLOW=mark)
    wait_for(mark, process)
    refused = smhash(folder, "ablate", "methods", "--seeds", "1")
    assert refused.returncode == 2
    assert "another `smhash ablate`" in refused.stderr
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(120) == 130
    assert process.communicate()[1] == "Interrupted. Finished work is saved; rerun to resume.\n"
    assert workspace(folder) == before
    assert recorded(folder) == there
    assert clones(folder) == []

    resumed = smhash(folder, "ablate", "methods", "--seeds", "1")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    new = set(recorded(folder)) - set(there)
    # The reference of all rows may be there from another row.
    assert new - {"default-s0"} == {"A1-fusion-hadamard-s0"}


def test_after_an_experiment_in_the_workspace_it_says_how_to_go_back(folder: Path) -> None:
    before = workspace(folder)
    run(folder, "dvc", "exp", "apply", "C1-k-5-s0")
    assert workspace(folder) != before
    table = smhash(folder, "table")
    assert "with changes, experiment C1-k-5-s0" in table.stdout
    result = smhash(folder, "ablate", "C1")
    assert result.returncode == 2
    (command,) = re.findall("where `dvc exp run` left them, `(.*?)` goes back", result.stderr)
    assert f"$ {command} " in (ROOT / "README.md").read_text(encoding="utf-8")
    run(folder, "sh", "-c", command)
    assert workspace(folder) == before


def test_a_changed_file_is_refused_and_named(folder: Path) -> None:
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


def test_below_the_root_of_git_only_the_projects_own_changes_count(below: Path) -> None:
    outside, code = below.parents[1] / "README", below / "src/new.py"
    outside.write_text("changed")
    code.parent.mkdir()
    code.touch()
    assert Repository(below).changed_files() == ["src/new.py"]
    code.unlink()
    assert Repository(below).changed_files() == []
    run(below, "git", "checkout", "-q", str(outside))


def test_a_row_below_the_root_of_git(below: Path) -> None:
    result = smhash(below, "ablate", "methods", "--seeds", "1", "--jobs", "2")
    assert result.returncode == 0, result.stdout + result.stderr
    table = smhash(below, "table", "methods", "--seeds", "1", "--draws", "100")
    assert "50.0" in table.stdout, table.stderr
    assert "Not run yet" not in table.stdout
    compared = smhash(below, "compare", "HEAD", "A1-fusion-hadamard-s0", "--draws", "100")
    assert compared.returncode == 0, compared.stderr


def test_an_unknown_row_ends_with_near_matches(folder: Path) -> None:
    result = smhash(folder, "ablate", "c5")
    assert result.returncode == 2
    assert "did you mean `C4`" in result.stderr


def test_what_a_report_is_made_by_may_change(folder: Path) -> None:
    there = recorded(folder)
    commit_line(folder, "stages/report.py", "# another page")
    result = smhash(folder, "ablate", "A3", "--seeds", "1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines() == [
        "1 experiment: 1 done, 0 stale, 0 to run",
        "next: smhash table A3 --seeds 1",
    ]
    assert recorded(folder) == there


def test_other_code_is_said_and_runs_again_under_force_only(folder: Path) -> None:
    there = recorded(folder)
    commit_line(folder, "stages/make.py", "# another version")
    result = smhash(folder, "ablate", "A3", "--seeds", "1")
    assert result.returncode == 1
    assert "default-s0: recorded with other code: " in result.stdout
    assert "--force reruns it" in result.stdout
    assert recorded(folder) == there
    forced = smhash(folder, "ablate", "A3", "--seeds", "1", "--force")
    assert forced.returncode == 0, forced.stdout + forced.stderr
    assert recorded(folder)["default-s0"] != there["default-s0"]
    assert "1 done" in smhash(folder, "ablate", "A3", "--seeds", "1").stdout


@pytest.mark.slow
def test_the_same_name_with_other_parameters_is_kept_where_the_new_one_fails(folder: Path) -> None:
    run(folder, "dvc", "exp", "run", "-q", "--temp", "-n", "C1-k-50-s0", "-S", "knn.K=7")
    before = recorded(folder)
    result = smhash(folder, "ablate", "C1", "--seeds", "1")
    assert "C1-k-50-s0: recorded with other parameters: knn.K" in result.stdout
    forced = smhash(folder, "ablate", "C1", "--seeds", "1", "--force")
    assert "FAILED C1-k-50-s0" in forced.stderr
    assert recorded(folder)["C1-k-50-s0"] == before["C1-k-50-s0"]
    run(folder, "dvc", "exp", "remove", "-q", "C1-k-50-s0")


def test_an_experiment_that_runs_in_the_workspace_is_named(folder: Path, tmp_path: Path) -> None:
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


# `smhash` that does not wait long for those that ignore Ctrl-C.
IMPATIENT_COMMAND = """
from siglip2_multimodal_hash.experiments import engine

engine.PATIENCE = 1.0

from siglip2_multimodal_hash.cli import main

main()
"""
# Outlives Ctrl-C in a group of its own.
WORKER = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(90)"


def test_workers_of_a_stage_are_ended_wherever_they_are(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    impatient = ("-c", IMPATIENT_COMMAND)
    process = begin(folder, impatient, "C2", "--seeds", "1", SLOW=mark, WORKER=WORKER)
    wait_for(mark, process)
    groups = groups_of(process)
    assert len(groups) == 2
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 130
    assert running(folder, groups) == []


def test_work_in_the_workspace_meanwhile_changes_nothing(folder: Path, tmp_path: Path) -> None:
    mark, head = tmp_path / "mark", Repository(folder).head
    process = begin(folder, COMMAND, "A3", "--seeds", "2", SLOW=mark)
    wait_for(mark, process)
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(params.replace("tau: 0.07", "tau: 0.08"))
    commit_line(folder, "stages/make.py", "# meanwhile")
    (tmp_path / "mark.go").touch()
    assert process.wait(100) == 0, process.communicate()[1]
    run(folder, "git", "reset", "-q", "--hard", head)
    found = smhash(folder, "ablate", "A3", "--seeds", "2")
    assert found.stdout.startswith("2 experiments: 2 done, 0 stale, 0 to run\nnext: ")


NVIDIA_SMI = "#!/bin/sh\necho GPU-one\necho GPU-two\n"


def test_experiments_take_the_gpus_in_turn(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, seen = tmp_path / "nvidia-smi", tmp_path / "seen"
    seen.mkdir()
    tool.write_text(NVIDIA_SMI)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    process = begin(folder, COMMAND, "A3", "--seeds", "4", "--jobs", "2", GPUS=seen)
    assert process.wait(100) == 0, process.communicate()[1]
    assert {path.read_text() for path in seen.iterdir()} == {"GPU-one", "GPU-two"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert gpus() == ["3", "5"]


def test_what_is_killed_whole_is_cleared_up_by_the_next(folder: Path, tmp_path: Path) -> None:
    process = begin(folder, COMMAND, "A3", "--seeds", "5", SLOW=tmp_path / "mark")
    wait_for(tmp_path / "mark", process)
    for one in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)):
        one.kill()
    process.wait()
    assert len(clones(folder)) == 1
    resumed = smhash(folder, "ablate", "A3", "--seeds", "5")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert clones(folder) == []


def test_what_a_killed_call_leaves_running_is_waited_for_and_kept(
    folder: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    process = begin(folder, COMMAND, "A3", "--seeds", "6", SLOW=mark)
    wait_for(mark, process)
    process.kill()
    process.wait()
    (name,) = clones(folder)
    refused = smhash(folder, "ablate", "A3", "--seeds", "6")
    assert "an experiment that a killed one left" in refused.stderr
    (tmp_path / "mark.go").touch()
    for _ in range(600):
        if not running(folder):
            break
        time.sleep(0.1)
    resumed = smhash(folder, "ablate", "A3", "--seeds", "6")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert f"{name} ..." not in resumed.stdout
    assert name in recorded(folder)


ROW = ("A3", "--seeds", "2")


def table_of(folder: Path) -> list[str]:
    """The table of the row, but for times."""
    result = smhash(folder, "table", *ROW, "--draws", "100", "--out", "table.csv")
    assert result.returncode == 0, result.stderr
    lines = (folder / "table.csv").read_text().splitlines()
    (folder / "table.csv").unlink()
    return [line.rpartition(",")[0] for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(new_repository: Callable[[str], Path]) -> list[str]:
    """The table of a row without an interruption."""
    folder = new_repository("uninterrupted")
    assert smhash(folder, "ablate", *ROW).returncode == 0
    return table_of(folder)


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "the command starts": lambda folder: (folder / ".dvc/tmp/ablate.lock").exists(),
    "a clone is made": lambda folder: clones(folder) != [],
    "DVC starts": lambda folder: any((folder / "live/ablations").glob("*.log")),
    "a stage runs": lambda folder: (folder / "live/mark").exists(),
    "one has ended": lambda folder: recorded(folder) != {},
}
COMMON = ("a stage runs", "one has ended")


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(moment, marks=() if moment in COMMON else pytest.mark.slow)
        for moment in MOMENTS
    ],
)
def test_terminated_at_any_moment_it_leaves_nothing_and_goes_on(
    new_repository: Callable[[str], Path], uninterrupted: list[str], moment: str
) -> None:
    folder = new_repository("terminated")
    (folder / "live").mkdir()
    (folder / "live/mark.go").touch()
    # Of two at a time the other would end in the next moment, too.
    jobs = "1" if moment == "one has ended" else "2"
    process = begin(folder, COMMAND, *ROW, "--jobs", jobs, SLOW=folder / "live/mark")
    groups: set[int] = set()
    while not MOMENTS[moment](folder):
        groups |= groups_of(process)
        assert process.poll() is None
    groups |= groups_of(process)
    process.terminate()
    assert process.wait(60) in INTERRUPTED
    assert running(folder, groups) == []
    assert clones(folder) == []
    assert run(folder, "git", "status", "--porcelain") == ""
    before = recorded(folder)
    resumed = smhash(folder, "ablate", *ROW, "--jobs", "2")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert f"2 experiments: {len(before)} done, 0 stale" in resumed.stdout
    assert recorded(folder).items() >= before.items()
    assert table_of(folder) == uninterrupted


def test_a_dry_run_runs_nothing(folder: Path) -> None:
    before = recorded(folder)
    result = smhash(folder, "ablate", "A2", "--seeds", "2", "--dry-run")
    assert result.returncode == 0
    assert "A2-bits-128-s1  hash.bits=128 seed=43 (without baselines)" in result.stdout
    assert "measured here" in result.stdout.splitlines()[1]
    assert result.stdout.endswith("next: smhash ablate A2 --seeds 2\n")
    assert recorded(folder) == before


def test_another_backbone_has_experiments_of_its_own(folder: Path, tmp_path: Path) -> None:
    copy, row = shutil.copytree(folder, tmp_path / "copy", symlinks=True), ("A3", "--seeds", "1")
    assert smhash(copy, "ablate", *row).returncode == 0
    assert smhash(copy, "use", "-S", "backbone.name=mine").returncode == 0
    run(copy, "git", "commit", "-qam", "another backbone")
    none = smhash(copy, "table", *row, "--draws", "100")
    assert (none.returncode, "`smhash ablate A3` runs them" in none.stderr) == (2, True)
    result = smhash(copy, "ablate", *row)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 experiment: 0 done, 0 stale, 1 to run" in result.stdout
    assert {"default-s0", "mojicoco-karpathy-mine-default-s0"} <= set(recorded(copy))
    table = smhash(copy, "table", *row, "--draws", "100")
    assert table.returncode == 0, table.stderr
    assert "Left out" not in table.stdout


def test_a_clone_knows_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = tmp_path / CLONES / "A2-bits-32-s0/below"
    clone.mkdir(parents=True)
    monkeypatch.chdir(clone)
    assert main_repository() == tmp_path
    monkeypatch.chdir(tmp_path)
    assert main_repository() is None


def test_other_parameters_are_no_other_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run(folder, "dvc", "exp", "run", "-q", "--temp", "-n", "eleven", "-S", "knn.K=11")
    repository = Repository()
    assert repository.code_version(recorded(folder)["eleven"]) == repository.code_here
