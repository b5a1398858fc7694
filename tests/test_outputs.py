"""No command removes or replaces anything but a regular file that was named as its output."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.places import FREE, PLACES, everything, place

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
    (details / "baselines.json").write_text("[]")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def command(smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Command:
    """The exit code, and what was said on stderr."""
    return lambda *words: (smhash(*words), capsys.readouterr().err)


@pytest.mark.parametrize("kind", PLACES)
def test_table(
    project: Path,
    command: Command,
    kind: str,
) -> None:
    with place(kind, project) as target:
        before = everything(project.parent)
        code, said = command("table", "--out", target)
        after = everything(project.parent)
        if kind in FREE or kind == "file":
            assert (code, said) == (0, "")
            assert target.read_text().startswith("|")
            made = {
                str((project / one).resolve().relative_to(project.parent))
                for one in (target, *target.parents)
            }
            assert {k: v for k, v in after.items() if k not in made} == {
                k: v for k, v in before.items() if k not in made
            }
        else:
            assert code == 2
            assert said.startswith(f"error: {target}: ")
            assert said.count("error:") == 1
            assert after == before


@pytest.mark.parametrize(
    "out", ["params.yaml", "outputs/mojicoco/siglip2-tiny/details/baselines.json"]
)
def test_table_into_an_input(project: Path, command: Command, out: str) -> None:
    before = everything(project)
    code, said = command("table", "--out", out)
    assert (code, everything(project)) == (2, before)
    assert said.startswith(f"error: {out}: an input")


@pytest.mark.parametrize("kind", [one for one in PLACES if one not in (*FREE, "file")])
def test_explain_is_refused_before_anything_is_loaded(
    project: Path,
    command: Command,
    kind: str,
) -> None:
    if kind == "mounted file":
        pytest.skip("found at the rename, see test_predict")
    with place(kind, project) as target:
        before = everything(project.parent)
        code, said = command("predict", "holiday", "--explain", target)
        assert (code, everything(project.parent)) == (2, before)
        assert said.startswith(f"error: {target}: ")
        assert said.count("error:") == 1


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
