"""``smhash compare`` on a real repository: what it reads, says and refuses."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from siglip2_multimodal_hash.datasets.index import make_index, write_index
from siglip2_multimodal_hash.errors import EXIT_BAD_INPUT
from siglip2_multimodal_hash.experiments.results import read_experiment
from siglip2_multimodal_hash.params import flatten
from siglip2_multimodal_hash.reporting.page import MOST_BYTES
from tests.experiments.small_repository import IMAGES, run
from tests.html_pages import Page
from tests.reporting.browser import CHROMIUM, chromium

Compare = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def repository(new_repository: Callable[[str], Path]) -> Path:
    folder = new_repository("compare")
    for name, change in (("k10", "knn.K=10"), ("seed2", "seed=2"), ("early", "knn.K=12")):
        words = ("dvc", "exp", "run", "-q", "--temp", "-n", name, "-S", change)
        run(folder, *words, **({"EARLY": "yes"} if name == "early" else {}))
    return folder


@pytest.fixture
def compare(
    repository: Path,
    smhash: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Compare:
    """Run the command; exit code, output and messages."""

    def run(*arguments: str, folder: Path = repository) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        code = smhash("compare", *arguments, "--draws", "100")
        return code, *capsys.readouterr()

    return run


def test_an_experiment_is_read_without_checking_it_out(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    before = sorted(path for path in repository.rglob("*") if ".dvc" not in path.parts)
    found = read_experiment("k10")
    assert (found.params["knn.K"], found.params["seed"]) == (10, 42)
    assert found.results.items.image_ids.tolist() == list(range(IMAGES))
    here = read_experiment("workspace")
    assert here.params["knn.K"] == 20
    head = read_experiment("HEAD")
    assert np.array_equal(head.results.scores["knn"], here.results.scores["knn"])
    assert sorted(path for path in repository.rglob("*") if ".dvc" not in path.parts) == before


def test_the_tables(compare: Compare) -> None:
    code, out, err = compare("HEAD", "k10", "--format", "text")
    assert (code, err) == (0, "")
    assert out.startswith("A = HEAD\nB = k10\n")
    assert "retrieval mAP@all" in out
    assert "knn.K      20  10" in out
    assert "60 test images, of which 60 have something relevant" in " ".join(out.split())
    assert "moved most" in out
    assert max(map(len, out.splitlines())) <= 100
    assert "n = 60 test pairs of mojicoco (karpathy split)" in out
    assert "experiments HEAD, k10, seed 42, objective discrete_pairwise" in " ".join(out.split())


@pytest.fixture
def with_photos(repository: Path, tmp_path: Path) -> Path:
    """The repository with the dataset in its workspace, and the curve of one fit."""
    copy = shutil.copytree(repository, tmp_path / "copy", symlinks=True)
    folder = copy / "data/mojicoco"
    for name in ("train2014", "val2014"):
        (folder / "source/images" / name).mkdir(parents=True)
    files = [f"val2014/{number:02d}.png" for number in range(IMAGES)]
    for number, file in enumerate(files):
        Image.new("RGB", (40, 30), (4 * number, 40, 40)).save(folder / "source/images" / file)
    columns = {"image_id": range(IMAGES), "file_name": files, "split": ["test"] * IMAGES}
    columns |= dict.fromkeys(("width", "height", "bytes"), [100] * IMAGES)
    captions = [["<script>alert(1)</script>"]] * IMAGES
    labels = np.zeros((IMAGES, 3), np.uint8)
    index = make_index(columns, captions, labels, (1, 2, 3), ("cat", "dog", "bus"))
    write_index(folder / "index.parquet", index)
    plots = copy / "plots/mojicoco/siglip2-tiny"
    plots.mkdir(parents=True)
    (plots / "training_val.csv").write_text("epoch,mAP\n0,0.5\n1,0.75\n", encoding="utf-8")
    return copy


def test_one_page_with_both_sides(compare: Compare, with_photos: Path) -> None:
    path = with_photos / "page.html"
    code, out, err = compare("k10", "workspace", "--html", str(path), folder=with_photos)
    assert (code, err) == (0, "")
    assert "no difference shown" in out or "stands" in out
    text = path.read_text(encoding="utf-8")
    assert len(text) < MOST_BYTES
    page = Page(text)
    assert page.open == []
    policy = next(one["content"] or "" for one in page.all("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert "<script>alert" not in text
    before, after = (read_experiment(name).results for name in ("k10", "workspace"))
    decided = [run.scores["knn"] >= run.thresholds["knn"] for run in (before, after)]
    changed = int((decided[0] != decided[1]).any(axis=1).sum())
    assert f"vote differ: {changed} of 60, " in re.sub("<[^>]+>", "", text)
    # The ids are those of images whose tags changed, each with its photo.
    shown = [int((one["id"] or "").removeprefix("query-")) for one in page.all("article")]
    assert shown
    assert all((decided[0][one] != decided[1][one]).any() for one in shown)
    photos = [one["src"] or "" for one in page.all("img")]
    assert len(photos) == len(shown)
    assert all(one.startswith("data:image/webp;base64,") for one in photos)
    # Differences, the curve that one side has, classes.
    kinds = [one.get("type") for one in page.all("script")]
    assert kinds == ["application/json"] * 3 + ["module"] * 2
    if CHROMIUM is not None:
        look_at(path, charts=3)


def look_at(path: Path, charts: int) -> None:
    """Open the page on a phone: all is drawn, nothing fails, is asked for or is off-screen."""
    problems, asked = list[str](), list[str]()
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        expect(page.locator(".chart > svg")).to_have_count(charts)
        assert problems == []
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_page_takes_no_other_files_place(compare: Compare, repository: Path) -> None:
    before = (repository / "params.yaml").read_bytes()
    code, _, err = compare("HEAD", "k10", "--html", "params.yaml")
    assert code == EXIT_BAD_INPUT
    assert "params.yaml: an input" in err
    assert (repository / "params.yaml").read_bytes() == before


def test_equal_runs_show_no_difference(compare: Compare) -> None:
    code, out, _ = compare("HEAD", "workspace")
    assert code == 0
    assert out.count("| same |") == 7
    assert "No parameter differs." in out


def test_json_of_one_metric(compare: Compare) -> None:
    code, out, _ = compare("HEAD", "k10", "--metric", "retrieval", "--json")
    found = json.loads(out)
    assert code == 0
    assert list(found["figures"]) == ["retrieval mAP@all"]
    figure = found["figures"]["retrieval mAP@all"]
    assert figure["difference"] == pytest.approx(figure["b"]["mean"] - figure["a"]["mean"])
    assert figure["low"] <= figure["difference"] <= figure["high"]
    assert found["parameters"] == {"knn.K": {"a": 20, "b": 10}}


def test_seeds(compare: Compare, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    code, out, _ = compare("HEAD", "seed2", "--html", str(path))
    assert code == 0
    text = path.read_text(encoding="utf-8")
    assert "A and B differ in the seed alone." in text
    # Without the dataset the queries have no photos.
    page = Page(text)
    assert page.all("article")
    assert not page.all("img")
    assert "A and B differ in the seed alone." in out
    assert "(n = 2)" in out
    code, out, _ = compare("HEAD,seed2", "k10", "--json")
    figure = json.loads(out)["figures"]["knn mAP"]
    assert code == 0
    runs = figure["a"]["runs"]
    assert figure["a"]["mean"] == pytest.approx(np.mean(runs))
    assert figure["a"]["sd"] == pytest.approx(np.std(runs, ddof=1))
    assert figure["b"]["sd"] is None


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (("HEAD", "nosuch"), "nosuch: neither an experiment nor a Git revision"),
        (("HEAD", "early"), "early: no categories.json among the outputs of `evaluate_knn`"),
        (("HEAD,workspace", "seed2"), "HEAD and workspace have the same seed, 42"),
        (("HEAD,k10", "seed2"), "HEAD and k10 differ in knn.K, not in seed alone"),
        (("HEAD,", "seed2"), "'HEAD,': an empty name"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    compare: Compare, groups: tuple[str, str], message: str
) -> None:
    code, out, err = compare(*groups)
    assert (code, out) == (EXIT_BAD_INPUT, "")
    assert message in err
    assert "\n  -> " in err


def test_other_folders_are_refused(compare: Compare, repository: Path, tmp_path: Path) -> None:
    code, _, err = compare("HEAD", "k10", folder=tmp_path)
    assert code == EXIT_BAD_INPUT
    assert "no repository of DVC" in err
    code, _, err = compare("HEAD", "k10", folder=repository / "outputs")
    assert code == EXIT_BAD_INPUT
    assert "the project's root is" in err


def test_parameters_that_did_not_run_are_refused(
    compare: Compare, repository: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy, symlinks=True)
    params = (copy / "params.yaml").read_text(encoding="utf-8")
    (copy / "params.yaml").write_text(params.replace(" K: 20", " K: 5"), encoding="utf-8")
    code, _, err = compare("HEAD", "workspace", folder=copy)
    assert code == EXIT_BAD_INPUT
    assert "workspace: 1 parameter(s) changed since the pipeline ran (knn.K)" in err
    assert "run `dvc repro`" in err
    (copy / "params.yaml").write_text(params, encoding="utf-8")
    (copy / "dvc.lock").unlink()
    assert (
        "workspace: `evaluate_knn` has not run yet" in compare("HEAD", "workspace", folder=copy)[2]
    )
    shutil.rmtree(copy / ".dvc/cache")
    code, _, err = compare("HEAD", "k10", folder=copy)
    assert code == EXIT_BAD_INPUT
    assert "HEAD: outputs/evaluation is not in DVC's cache" in err
    assert "dvc fetch" in err


def test_a_file_that_is_gone_from_the_cache_is_named(
    compare: Compare, repository: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy, symlinks=True)
    for path in (copy / ".dvc/cache").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            path.unlink()
    code, _, err = compare("HEAD", "k10", folder=copy)
    assert code == EXIT_BAD_INPUT
    assert "is not in DVC's cache" in err


def test_leaves() -> None:
    assert flatten({"a": {"b": 1, "c": [1, 2]}, "d": None}) == {"a.b": 1, "a.c": [1, 2], "d": None}


def test_the_command_does_not_slow_the_others_down() -> None:
    code = "import sys, siglip2_multimodal_hash.cli.main; print('dvc' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=None
    )
    assert found.stdout.strip() == "False"
