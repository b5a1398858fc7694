"""DVC itself on a small mojicoco: experiments, what they re-run, and how bad parameters end."""

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.params import read_yaml
from siglip2_multimodal_hash.presets import apply_overrides
from siglip2_multimodal_hash.reporting.tables import HEADLINE
from tests.pipeline.conftest import (
    ROOT,
    FinishedRun,
    commands,
    run_stage,
    small_params,
    working_in,
)
from tests.pipeline.repositories import damaged_objects, new_repository, run_in
from tests.pipeline.test_what_reruns import ASIDE, DECLARED_BY, REACHED_BY

FIGURES = "metrics/mojicoco/siglip2-tiny/figures.json"


@pytest.fixture(scope="module")
def repository(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a finished run of a small dataset, all committed; outputs are links."""
    folder = tmp_path_factory.mktemp("repository")
    new_repository(folder, small_params())
    for made in ("data", "outputs", "metrics", "plots", "reports"):
        shutil.copytree(finished_run[0] / made, folder / made, symlinks=True, dirs_exist_ok=True)
    for command in ("dvc commit -q -f", "git add -A", "git commit -qm run"):
        done = run_in(folder, *command.split())
        assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(folder / "outputs")
    shutil.rmtree(folder / "data/mojicoco")
    assert run_in(folder, "dvc", "checkout", "-q").returncode == 0
    return folder


def stages_in(printed: str) -> set[str]:
    """The stages that DVC says it runs, but for those that leave nothing new by default."""
    lines = [line for line in printed.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1].rpartition(":")[2] for line in lines} - ASIDE


@pytest.mark.slow
def test_dvc_runs_every_stage(repository: Path, tmp_path: Path) -> None:
    """Each in a process of its own; elsewhere they share one."""
    new_repository(tmp_path, small_params())
    result = run_in(tmp_path, "dvc", "repro")
    assert result.returncode == 0, result.stdout + result.stderr
    locks = [read_yaml(folder / "dvc.lock") for folder in (tmp_path, repository)]
    assert locks[0] == locks[1]


def test_nothing_runs_twice_and_git_stays_clean(repository: Path) -> None:
    result = run_in(repository, "dvc", "repro")
    assert result.returncode == 0
    assert "Running stage" not in result.stdout
    assert run_in(repository, "git", "status", "--porcelain").stdout == ""
    assert run_in(repository, "git", "ls-files", "data").stdout.split() == ["data/README.md"]


@pytest.fixture
def edit(repository: Path) -> Iterator[Callable[[str], None]]:
    """Append a line to a file of code; afterwards everything is as it was committed."""

    def append(name: str) -> None:
        with (repository / name).open("a") as stream:
            stream.write("\n# Another version.\n")

    yield append
    restore(repository)


def restore(repository: Path) -> None:
    """Bring back what is committed."""
    restore_files(repository)
    assert run_in(repository, "dvc", "checkout", "-q").returncode == 0


def restore_files(repository: Path) -> None:
    """Bring back Git's files; Git may miss a change of the same size that DVC made."""
    (repository / "params.yaml").write_text(committed_params(repository), encoding="utf-8")
    assert run_in(repository, "git", "checkout", "-q", ".").returncode == 0


def committed_params(repository: Path) -> str:
    return run_in(repository, "git", "show", "HEAD:params.yaml").stdout


def fitted_head(repository: Path) -> list[dict[str, Any]]:
    """The outputs of `train`, by the lock file."""
    outs: list[dict[str, Any]] = read_yaml(repository / "dvc.lock")["stages"]["train"]["outs"]
    return outs


def test_what_dvc_says_after_an_edit_of_code_is_true(
    repository: Path, edit: Callable[[str], None]
) -> None:
    edit("src/siglip2_multimodal_hash/training/loop.py")
    status = run_in(repository, "dvc", "status", "train", "embed").stdout
    assert "src/siglip2_multimodal_hash/training" in status
    assert "embed:" not in status
    fitted = fitted_head(repository)
    alone = run_in(repository, "dvc", "repro", "-s", "train")
    assert stages_in(alone.stdout) == {"train"}, alone.stdout + alone.stderr
    assert fitted_head(repository) == fitted, "another fit gives the same bytes"
    behind = run_in(repository, "dvc", "repro", "--downstream", "extract_hashes")
    assert behind.returncode == 0, behind.stdout + behind.stderr
    # The code of `extract_hashes` was changed, too. It writes the same bytes, so nothing follows.
    assert stages_in(behind.stdout) == {"extract_hashes"}


def test_a_fresh_clone_has_its_figures_in_the_table(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    assert run_in(tmp_path, "git", "clone", "-q", str(repository), str(clone)).returncode == 0
    assert columns_of_the_table(clone) == ["Experiment", *HEADLINE]


def columns_of_the_table(repository: Path) -> list[str]:
    """Those of the README's `dvc exp show`, whose lines fit 120 columns."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"\$ (dvc exp show .*?) +#", readme)
    shown = run_in(repository, *shlex.split(recipe))
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 120, shown.stdout
    (head,) = (line.split() for line in lines if "Experiment" in line)
    return head


def test_an_experiment_runs_only_what_its_parameter_and_an_edit_reach_and_has_its_row(
    repository: Path, edit: Callable[[str], None]
) -> None:
    params = repository / "params.yaml"
    before = params.read_text(encoding="utf-8").splitlines()
    edit("stages/build_faiss_index.py")
    result = run_in(repository, "dvc", "exp", "run", "-S", "knn.hybrid_weight=0.25", "-n", "more")
    assert result.returncode == 0, result.stdout + result.stderr
    # What the edit leaves the same, nothing follows.
    assert stages_in(result.stdout) == {*REACHED_BY["knn.hybrid_weight"], "build_faiss_index"}
    after = params.read_text(encoding="utf-8").splitlines()
    (changed,) = (pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    assert [line.split()[:2] for line in changed] == [
        ["hybrid_weight:", "0.5"],
        ["hybrid_weight:", "0.25"],
    ]
    assert columns_of_the_table(repository) == ["Experiment", *HEADLINE, "knn.hybrid_weight"]
    figures = run_in(repository, "dvc", "metrics", "diff", "HEAD", "--md", "--targets", FIGURES)
    assert "hybrid" in figures.stdout


def test_another_protocol_takes_the_same_embeddings_and_they_are_those_of_a_fresh_run(
    repository: Path, finished_run: FinishedRun, tmp_path: Path
) -> None:
    result = run_in(repository, "dvc", "exp", "run", "-S", "dataset.protocol=standard", "embed")
    assert result.returncode == 0, result.stdout + result.stderr
    assert stages_in(result.stdout) == {"download_karpathy_split", "build_dataset_index"}

    (tmp_path / "params.yaml").write_text(small_params(dataset__protocol="standard"))
    (tmp_path / "models").symlink_to(ROOT / "models")
    data, embeddings = Path("data/mojicoco"), Path("outputs/mojicoco/siglip2-tiny/embeddings")
    (tmp_path / data).mkdir(parents=True)
    (tmp_path / data / "source").symlink_to(finished_run[0] / data / "source")
    with working_in(tmp_path):
        for stage in ("download_karpathy_split", "build_dataset_index", "tune_towers", "embed"):
            words = [
                word.replace("karpathy_split.", "standard_split.") for word in commands()[stage]
            ]
            assert run_stage(words) == 0, stage
    # All that is fitted and searched depends on these two.
    for path in (tmp_path / data / "index.parquet", *(tmp_path / embeddings).iterdir()):
        made = repository / path.relative_to(tmp_path)
        assert made.read_bytes() == path.read_bytes(), made
    restore(repository)


@pytest.mark.slow
def test_figures_of_a_second_backbone_stand_in_the_same_columns(repository: Path) -> None:
    run_in(repository, "dvc", "exp", "remove", "--all-commits")
    words = ["-S", "hash.bits=32", "-S", "backbone.name=another"]
    result = run_in(repository, "dvc", "exp", "run", *words)
    assert result.returncode == 0, result.stdout + result.stderr
    shown = columns_of_the_table(repository)
    assert sorted(shown) == sorted(["Experiment", *HEADLINE, "hash.bits", "backbone.name"])
    restore(repository)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # The first stage would be run, whose output is the dataset.
        ("-S dataset.mojicoco.train=0", ("dataset.mojicoco.train", "0")),
        # The small dataset has 120 images to train on, which are the database.
        ("-S knn.K=121 -S seed=7", ("knn.K = 121", "the database has 120 items")),
        ("-S knn.K=121 -S seed=7 --temp", ("knn.K = 121", "the database has 120 items")),
    ],
)
def test_a_bad_override_ends_in_one_message_and_costs_no_output(
    repository: Path, words: str, said: tuple[str, ...]
) -> None:
    before = outputs(repository)
    result = run_in(repository, "dvc", "exp", "run", *words.split())
    message = result.stdout + result.stderr
    assert result.returncode != 0
    assert "Traceback" not in message
    for word in said:
        assert word in message
    assert outputs(repository) == before
    # Not by `git diff`: an index that DVC has just written may miss a change of the same size.
    kept = committed_params(repository)
    in_a_copy = "--temp" in words
    assert ((repository / "params.yaml").read_text(encoding="utf-8") == kept) is in_a_copy
    assert ("what -S set stays in params.yaml" in message) is not in_a_copy
    restore_files(repository)


def outputs(repository: Path) -> set[str]:
    """Paths below data/ and outputs/."""
    return {
        str(path.relative_to(repository))
        for folder in ("data", "outputs")
        for path in (repository / folder).rglob("*")
    }


def test_a_bad_parameter_costs_no_output_of_a_stage_that_comes_first(repository: Path) -> None:
    before = outputs(repository)
    apply_overrides(repository / "params.yaml", {"training.num_epochs": 4, "knn.K": 121})
    result = run_in(repository, "dvc", "repro", "train")
    assert result.returncode != 0
    assert "knn.K = 121: the database has 120 items" in result.stderr
    assert outputs(repository) == before
    assert run_in(repository, "git", "checkout", "-q", ".").returncode == 0


def test_a_stage_that_is_run_by_itself_says_how_its_outputs_come_back(repository: Path) -> None:
    before = outputs(repository)
    text = (repository / "params.yaml").read_text()
    (repository / "params.yaml").write_text(text.replace("\n  bits: 64", "\n  bits: 100"))
    result = run_in(repository, "dvc", "repro", "--single-item", "train")
    assert result.returncode != 0
    assert "hash.bits = 100" in result.stderr
    assert outputs(repository) != before
    assert "`dvc checkout train` brings them back" in result.stderr
    assert run_in(repository, "dvc", "checkout", "train").returncode == 0
    assert outputs(repository) == before
    assert run_in(repository, "git", "checkout", "-q", ".").returncode == 0


def test_a_dry_run_names_the_stages_that_a_parameter_changes(repository: Path) -> None:
    """Those that declare it: what lies behind depends on whether their outputs come out new."""
    apply_overrides(repository / "params.yaml", {"hash.bits": 32})
    result = run_in(repository, "dvc", "repro", "--dry")
    assert run_in(repository, "git", "checkout", "-q", "params.yaml").returncode == 0
    assert result.returncode == 0, result.stdout + result.stderr
    assert stages_in(result.stdout) == DECLARED_BY["hash.bits"]


def test_no_stage_writes_into_the_cache_through_a_link(repository: Path) -> None:
    """After all that ran above: in the workspace, over what DVC left there, and in copies."""
    index = repository / "data/mojicoco/index.parquet"
    linked = index.stat()
    assert linked.st_nlink > 1 or linked.st_mode & 0o200, "a hard link is read-only, a copy is not"
    assert damaged_objects(repository) == []
