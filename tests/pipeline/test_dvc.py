"""DVC itself on a small mojicoco: experiments, what they re-run, and how bad parameters end."""

from pathlib import Path

import pytest

from siglip2_multimodal_hash.presets import apply_overrides
from tests.pipeline.conftest import small_params
from tests.pipeline.repositories import new_repository, run_in
from tests.pipeline.test_what_reruns import ASIDE, DECLARED_BY, REACHED_BY


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a finished `dvc repro` of a small dataset, all committed."""
    folder = tmp_path_factory.mktemp("repository")
    new_repository(folder, small_params())
    result = run_in(folder, "dvc", "repro")
    assert result.returncode == 0, result.stdout + result.stderr
    for command in (["git", "add", "-A"], ["git", "commit", "-qm", "run"]):
        assert run_in(folder, *command).returncode == 0
    return folder


def stages_in(printed: str) -> set[str]:
    """The stages that DVC says it runs, but for those that leave nothing new by default."""
    lines = [line for line in printed.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1].rpartition(":")[2] for line in lines} - ASIDE


def test_nothing_runs_twice_and_git_stays_clean(repository):
    result = run_in(repository, "dvc", "repro")
    assert result.returncode == 0
    assert "Running stage" not in result.stdout
    assert run_in(repository, "git", "status", "--porcelain").stdout == ""


def test_a_change_of_code_reaches_the_stages_that_run_it(repository):
    changed = repository / "src/siglip2_multimodal_hash/reporting/plots.py"
    before = changed.read_text(encoding="utf-8")
    changed.write_text(f"{before}\n# Another version.\n", encoding="utf-8")
    listed = run_in(repository, "dvc", "repro", "list_modules")
    assert stages_in(listed.stdout) == {"list_modules"}, listed.stdout + listed.stderr
    result = run_in(repository, "dvc", "repro", "--dry")
    assert stages_in(result.stdout) == {"summarise"}
    changed.write_text(before, encoding="utf-8")
    again = run_in(repository, "dvc", "repro")
    assert again.returncode == 0, again.stdout + again.stderr
    assert run_in(repository, "git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_an_experiment_runs_only_what_its_parameter_reaches(repository):
    result = run_in(repository, "dvc", "exp", "run", "-S", "hash.bits=32", "-n", "bits-32")
    assert result.returncode == 0, result.stdout + result.stderr
    ran = stages_in(result.stdout)
    assert ran == REACHED_BY["hash.bits"]
    shown = run_in(repository, "dvc", "exp", "show", "--csv")
    assert "bits-32" in shown.stdout
    changed = run_in(repository, "dvc", "metrics", "diff", "HEAD", "--md")
    assert "retrieval" in changed.stdout
    restored = run_in(repository, "git", "checkout", "-q", ".")
    assert restored.returncode == 0
    assert run_in(repository, "dvc", "checkout", "-q").returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-S hash.bits=sixty", ("hash.bits", "sixty", "64")),
        ("-S +hash.bit=64", ("hash.bit = 64", "unknown key")),
        # The first stage would be run, whose output is the dataset.
        ("-S dataset.mojicoco.train=0", ("dataset.mojicoco.train", "0")),
        # The small dataset has 120 images to train on, which are the database.
        ("-S knn.K=121 -S seed=7", ("knn.K = 121", "the database has 120 items")),
        ("-S knn.K=121 -S seed=7 --temp", ("knn.K = 121", "the database has 120 items")),
    ],
)
def test_a_bad_override_ends_in_one_message_and_costs_no_output(repository, words, said):
    before = outputs(repository)
    result = run_in(repository, "dvc", "exp", "run", *words.split())
    message = result.stdout + result.stderr
    assert result.returncode != 0
    assert "Traceback" not in message
    for word in said:
        assert word in message
    assert outputs(repository) == before
    changed = run_in(repository, "git", "diff", "--name-only").stdout
    in_a_copy = "--temp" in words
    assert ("params.yaml" in changed) is not in_a_copy
    assert ("what -S set stays in params.yaml" in message) is not in_a_copy
    assert run_in(repository, "git", "checkout", "-q", ".").returncode == 0


def outputs(repository: Path) -> set[str]:
    """What lies below data/ and outputs/."""
    return {
        str(path.relative_to(repository))
        for folder in ("data", "outputs")
        for path in (repository / folder).rglob("*")
    }


def test_a_bad_parameter_costs_no_output_of_a_stage_that_comes_first(repository):
    before = outputs(repository)
    apply_overrides(repository / "params.yaml", {"training.num_epochs": 4, "knn.K": 121})
    result = run_in(repository, "dvc", "repro", "train")
    assert result.returncode != 0
    assert "knn.K = 121: the database has 120 items" in result.stderr
    assert outputs(repository) == before
    assert run_in(repository, "git", "checkout", "-q", ".").returncode == 0


def test_a_stage_that_is_run_by_itself_says_how_its_outputs_come_back(repository):
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


@pytest.mark.parametrize(
    ("key", "value"),
    [("knn.K", 7), ("hash.bits", 32), ("fusion.type", "gated"), ("training.num_epochs", 9)],
)
def test_a_dry_run_names_the_stages_that_a_parameter_changes(repository, key, value):
    """Those that declare it: what lies behind depends on whether their outputs come out new."""
    apply_overrides(repository / "params.yaml", {key: value})
    result = run_in(repository, "dvc", "repro", "--dry")
    assert run_in(repository, "git", "checkout", "-q", "params.yaml").returncode == 0
    assert result.returncode == 0, result.stdout + result.stderr
    assert stages_in(result.stdout) == DECLARED_BY[key]
