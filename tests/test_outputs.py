"""No command removes or replaces anything but a regular file that was named as its output."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.places import everything, place

ROOT = Path(__file__).resolve().parents[1]
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with parameters and the figures of a run, and other things beside it."""
    (tmp_path / "beside.txt").write_text("beside")
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git/HEAD").write_text("ref: refs/heads/main")
    shutil.copy(ROOT / "params.yaml", folder)
    details = folder / "outputs/mojicoco/siglip2-tiny/details"
    details.mkdir(parents=True)
    (details / "baselines.json").write_text('{"fused": {}}')
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def command(smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Command:
    """The exit code, and what was said on stderr."""
    return lambda *words: (smhash(*words), capsys.readouterr().err)


def test_a_file_that_is_named_is_replaced(project: Path, command: Command) -> None:
    with place("file", project) as target:
        before = everything(project.parent)
        assert command("table", "--out", target) == (0, "")
        after = everything(project.parent)
        assert target.read_text().startswith("|")
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {f"project/{target}"}


@pytest.mark.parametrize("kind", ["folder", "link to a file", "below a file", "mount point"])
@pytest.mark.parametrize("words", [("table", "--out"), ("predict", "holiday", "--explain")])
def test_anything_else_is_refused_before_anything_is_loaded(
    project: Path, command: Command, words: tuple[str, ...], kind: str
) -> None:
    with place(kind, project) as target:
        before = everything(project.parent)
        code, said = command(*words, target)
        assert (code, everything(project.parent)) == (2, before)
        assert said.startswith(f"error: {target}: ")
        assert said.count("error:") == 1


@pytest.mark.parametrize(
    "out", ["params.yaml", "outputs/mojicoco/siglip2-tiny/details/baselines.json"]
)
def test_table_into_an_input(project: Path, command: Command, out: str) -> None:
    before = everything(project)
    code, said = command("table", "--out", out)
    assert (code, everything(project)) == (2, before)
    assert said.startswith(f"error: {out}: an input")


@pytest.mark.parametrize(
    ("photos", "page"),
    [
        ("holiday", "holiday/sub/photo.jpg"),
        ("holiday/sub/photo.jpg", "holiday/sub/photo.jpg"),
        ("holiday/sub/photo.jpg", "album/sub/photo.jpg"),
        ("link.jpg", "holiday/sub/photo.jpg"),
        ("holiday", "params.yaml"),
        ("holiday", "data/mojicoco/source/images/1.jpg"),
    ],
)
def test_explain_into_an_input(
    project: Path,
    command: Command,
    photos: str,
    page: str,
) -> None:
    (project / "link.jpg").symlink_to("holiday/sub/photo.jpg")
    with place("dataset", project):
        before = everything(project)
        code, said = command("predict", photos, "--explain", page)
    assert (code, everything(project)) == (2, before)
    assert said.startswith(f"error: {page}: an input")
