"""`smhash table ROW` on experiments that DVC tracks."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.experiments.results import read_experiment
from tests.experiments.small_repository import commit_line, run, smhash
from tests.html_pages import Page


@pytest.fixture(scope="module")
def folder(new_repository: Callable[[str], Path]) -> Path:
    """C1 without its last variant, two seeds of one and one of the others; A3 with them."""
    found = new_repository("table")
    for name, *overrides in (
        ("default-s0",),
        ("default-s1", "seed=43"),
        ("C1-k-5-s0", "knn.K=5"),
        ("C1-k-10-s0", "knn.K=10"),
    ):
        words = [word for one in overrides for word in ("-S", one)]
        run(found, "dvc", "exp", "run", "-q", "--temp", "-n", name, *words)
    return found


def test_markdown_of_two_rows(folder: Path) -> None:
    result = smhash(folder, "table", "A3", "C1", "--seeds", "2", "--draws", "200")
    assert result.returncode == 0, result.stderr
    assert "### A3: " in result.stdout
    assert "### C1: " in result.stdout
    lines = {line.split(" |")[0]: line for line in result.stdout.splitlines()}
    assert lines["| knn *"].startswith("| knn * | 2 | ")
    assert "±" in lines["| knn *"]
    # Three times the signal of knn: the difference stands.
    assert "**" in lines["| hybrid"]
    assert lines["| 5"].startswith("| 5 | 1 | ")
    assert "| 50" not in lines
    assert "Not run yet: C1-k-5-s1, C1-k-10-s1, C1-k-50-s0, C1-k-50-s1" in result.stdout


def test_two_rows_as_one_page(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.html"
    words = ("C1", "A3", "--seeds", "2", "--draws", "200", "--html", str(path))
    result = smhash(folder, "table", *words)
    assert result.returncode == 0, result.stderr
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    # A chart for each row and figure; retrieval is the same for all of A3, and has one, too.
    assert [one.get("type") for one in page.all("script")].count("application/json") == 6
    assert [one["id"] for one in page.all("section")] == ["A3", "C1", "glossary", "provenance"]
    shown = " ".join(page.texts)
    for part in ("n = 60 test pairs of mojicoco", "200 draws", "default-s1", "Not run yet: "):
        assert part in shown
    assert smhash(folder, "table", "--html", str(path)).returncode == 2


def test_all_experiments_newest_first_or_by_a_figure(folder: Path) -> None:
    def listed(*options: str) -> list[list[str]]:
        result = smhash(folder, "experiments", "--format", "text", *options)
        assert result.returncode == 0, result.stderr
        assert all(len(line) <= 100 for line in result.stdout.splitlines())
        return [line.split() for line in result.stdout.partition("\n\n")[0].splitlines()]

    head, *lines = listed()
    assert head == ["experiment", "knn", "mlp", "retrieval", "val_knn", "time", "changed"]
    assert lines == [
        ["C1-k-10-s0", "10.0", "90.0", "10.0", "9.0", "knn.K=10"],
        ["C1-k-5-s0", "5.0", "90.0", "20.0", "4.0", "knn.K=5"],
        ["default-s1", "20.0", "90.0", "5.0", "19.0", "seed=43"],
        ["default-s0", "20.0", "90.0", "5.0", "19.0"],
    ]
    head, *lines = listed("--sort", "retrieval")
    assert head[:3] == ["experiment", "retrieval", "knn"]
    assert [line[0] for line in lines[:2]] == ["C1-k-5-s0", "C1-k-10-s0"]
    assert smhash(folder, "experiments", "--sort", "speed").returncode == 2
    stage = folder / "stages/make.py"
    text = stage.read_text(encoding="utf-8")
    stage.write_text(f"{text}# Another version.\n", encoding="utf-8")
    try:
        assert all("stale" in line for line in listed()[1:])
    finally:
        stage.write_text(text, encoding="utf-8")


def add_experiment(folder: Path, name: str, path: str, text: str) -> str:
    """Track the head with a file of its own as an experiment; its reference."""
    head = run(folder, "git", "rev-parse", "HEAD").strip()
    file = folder / path
    kept = file.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    try:
        run(folder, "git", "add", path)
        tree = run(folder, "git", "write-tree").strip()
    finally:
        file.write_text(kept, encoding="utf-8")
        run(folder, "git", "add", path)
    commit = run(folder, "git", "commit-tree", tree, "-p", head, "-m", name).strip()
    reference = f"refs/exps/{head[:2]}/{head[2:]}/{name}"
    run(folder, "git", "update-ref", reference, commit)
    return reference


def test_the_list_fits_a_terminal_of_any_width(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"mine-{'x' * 90}-s1"
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    prompts, layers = f"a photo of {'many ' * 20}{{}}s", "  - 1024\n  - 512\n"
    assert layers in text
    changed = text.replace("a photo of a {}.", prompts).replace(layers, "  - 256\n")
    reference = add_experiment(folder, name, "params.yaml", changed)
    try:
        for columns in (None, "40", "72", "100", "160", "500"):
            if columns is None:
                monkeypatch.delenv("COLUMNS", raising=False)
            else:
                monkeypatch.setenv("COLUMNS", columns)
            lines = smhash(folder, "experiments", "--format", "text").stdout.splitlines()
            (odd,) = (line for line in lines if line.startswith("mine-"))
            assert max(map(len, lines)) <= int(columns or 100)
            assert (name in odd) == (columns == "500")
            assert (prompts in odd) == (columns == "500")
            assert "…" in odd or columns == "500"
            if columns == "160":
                assert odd.split()[0].endswith("-s1")
                assert "fusion.mlp_dims=" in odd
    finally:
        run(folder, "git", "update-ref", "-d", reference)


@pytest.mark.parametrize("text", ['{"knn": null, "retrieval": {"mAP@all": 0.3}}', "[1]", "1"])
def test_what_is_no_figure_is_left_out(folder: Path, text: str) -> None:
    reference = add_experiment(folder, "odd", "metrics/summary.json", text)
    try:
        result = smhash(folder, "experiments", "--sort", "retrieval")
        assert result.returncode == 0, result.stderr
        (odd,) = (line for line in result.stdout.splitlines() if line.startswith("| odd |"))
        assert set(odd) == set("| odd")
    finally:
        run(folder, "git", "update-ref", "-d", reference)


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("dvc.lock", "schema: '2.0'\n", "dvc.lock holds no stages"),
        ("dvc.lock", "", "dvc.lock holds no stages"),
        ("dvc.lock", "stages: [1]\n", "dvc.lock holds no stages"),
        ("dvc.lock", "stages: {summarise: {deps: [1]}}\n", "dvc.lock holds no stages"),
        ("params.yaml", "- 1\n", "params.yaml holds no sections"),
    ],
)
def test_an_unreadable_experiment_is_named(folder: Path, path: str, text: str, said: str) -> None:
    reference = add_experiment(folder, "odd", path, text)
    try:
        result = smhash(folder, "experiments")
        assert result.returncode == 2
        assert result.stderr.startswith("error: odd: ")
        assert said in result.stderr
        assert "`dvc exp remove odd`" in result.stderr
    finally:
        run(folder, "git", "update-ref", "-d", reference)


@pytest.mark.parametrize("text", ["stages: {}\n", "stages: [\n"])
def test_a_dvc_yaml_without_these_stages_is_refused(folder: Path, text: str) -> None:
    path = folder / "dvc.yaml"
    kept = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    try:
        result = smhash(folder, "experiments")
        assert result.returncode == 2
        assert "dvc.yaml" in result.stderr
    finally:
        path.write_text(kept, encoding="utf-8")


def test_other_methods_differ_with_an_interval_where_their_scores_are_kept(folder: Path) -> None:
    result = smhash(folder, "table", "methods", "--seeds", "1", "--draws", "200")
    assert result.returncode == 0, result.stderr
    lines = {line.split(" |")[0]: line for line in result.stdout.splitlines()}
    # It separates the labels, so mAP and CF1 are 100; it retrieves nothing.
    assert lines["| SigLIP2-MLP"].startswith("| SigLIP2-MLP | 1 | **100.0**<br>+")
    assert lines["| SigLIP2-MLP"].count("**100.0**<br>+") == 2
    assert lines["| SigLIP2-MLP"].endswith(" |  |  |")
    # From the committed comparison alone.
    assert "| SigLIP2-ZeroShot | 1 | 50.0 |  |  |" in result.stdout


def test_scores_of_classifiers_of_other_parameters_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert list(read_experiment("HEAD", ("mlp", "zero_shot")).classifiers) == ["mlp"]
    path = folder / "params.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("  classifiers: true", "  classifiers: false"), encoding="utf-8")
    try:
        assert read_experiment("workspace").classifiers == {}
        with pytest.raises(DataError, match=r"since the pipeline ran \(baselines\.classifiers\)"):
            read_experiment("workspace", ("mlp",))
    finally:
        path.write_text(text, encoding="utf-8")


def test_files_by_their_names(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "c1.csv"
    options = ("--seeds", "1", "--draws", "200", "--out", str(out))
    assert smhash(folder, "table", "C1", *options).returncode == 0
    with out.open() as stream:
        found = list(csv.DictReader(stream))
    assert {line["variant"] for line in found} == {"5", "10", "20"}
    assert all(line["low"] for line in found if line["variant"] != "20")
    tex = tmp_path / "c1.tex"
    assert smhash(folder, "table", "C1", *options[:-1], str(tex)).returncode == 0
    assert r"\toprule" in tex.read_text()
    unknown = smhash(folder, "table", "C1", "--out", str(tmp_path / "c1.doc"))
    assert unknown.returncode == 2
    assert not (tmp_path / "c1.doc").exists()


def test_seeds_that_nobody_asked_for_are_not_missing(folder: Path) -> None:
    result = smhash(folder, "table", "C1", "--draws", "200")
    assert "\nNot run yet: C1-k-50-s0 (`smhash ablate C1 --seeds 1`).\n" in result.stdout
    assert "| 20 * | 2 |" in result.stdout


def test_without_rows_the_comparison_of_the_workspace(folder: Path) -> None:
    result = smhash(folder, "table")
    assert result.returncode == 0, result.stderr
    assert "| mlp |" in result.stdout


def test_a_row_without_experiments_says_what_runs_them(folder: Path) -> None:
    result = smhash(folder, "table", "A2", "--seeds", "1", "--draws", "200")
    # The reference of A2 is the default, so there is one line.
    assert "Not run yet: A2-bits-none-s0" in result.stdout
    result = smhash(folder, "table", "B2", "--draws", "200")
    assert result.returncode == 2
    assert "row B2: no experiment is tracked" in result.stderr
    assert "`smhash ablate B2`" in result.stderr


def test_rows_of_other_test_images_stand_beside_each_other(folder: Path) -> None:
    name = "pairs-160-head-closed-form-s0"
    run(folder, "dvc", "exp", "run", "-q", "--temp", "-n", name,
        "-S", "dataset.mojicoco.train=120", "-S", "dataset.mojicoco.restval=40")  # fmt: skip
    result = smhash(folder, "table", "A3", "pairs-160", "--seeds", "1", "--draws", "200")
    run(folder, "dvc", "exp", "remove", "-q", name)
    assert result.returncode == 0, result.stderr
    assert "| knn * | 1 |" in result.stdout
    assert "| closed-form * | 1 |" in result.stdout


def test_experiments_of_another_dataset_do_not_count(folder: Path) -> None:
    run(folder, "dvc", "exp", "run", "-q", "--temp", "-n", "C1-k-50-s0",
        "-S", "knn.K=49", "-S", "dataset.protocol=standard")  # fmt: skip
    result = smhash(folder, "table", "C1", "--seeds", "1", "--draws", "200")
    assert "Left out: C1-k-50-s0 (other parameters: dataset.protocol, knn.K)." in result.stdout
    assert "| 50 |" not in result.stdout
    run(folder, "dvc", "exp", "remove", "-q", "C1-k-50-s0")


def test_code_of_two_versions_is_refused_unless_asked_for(folder: Path) -> None:
    commit_line(folder, "stages/make.py", "# another version")
    same = smhash(folder, "table", "C1", "--seeds", "1", "--draws", "200")
    assert same.returncode == 0, same.stderr
    assert "Made by version " in same.stdout
    run(folder, "dvc", "exp", "run", "-q", "--temp", "-n", "C1-k-10-s0", "-S", "knn.K=10")
    refused = smhash(folder, "table", "C1", "--seeds", "1", "--draws", "200")
    assert refused.returncode == 2
    assert "made by 2 versions of the code" in refused.stderr
    assert "--mixed" in refused.stderr
    mixed = smhash(folder, "table", "C1", "--seeds", "1", "--draws", "200", "--mixed")
    assert mixed.returncode == 0, mixed.stderr
    assert "Made by different versions of the code: " in mixed.stdout
