"""States of a repository, made with Git itself."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.doctor.repository import (
    Repository,
    check_repository,
    look_at_repository,
)


def git(folder: Path, *arguments: str, check: bool = True) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    subprocess.run(command, check=check, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("", encoding="utf-8")
    (tmp_path / "dvc.lock").write_text("a\n", encoding="utf-8")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "One")
    return tmp_path


def test_a_clean_clone(clone: Path) -> None:
    state = look_at_repository(clone)
    assert state == Repository(True, True, True, True, branch="main", locked=True)
    found = check_repository(state)
    assert (found.status, found.finding) == ("ok", "on main, no change")


def test_changes_are_counted(clone: Path) -> None:
    (clone / "new").write_text("", encoding="utf-8")
    (clone / "dvc.lock").unlink()
    state = look_at_repository(clone)
    assert (state.changed, state.locked) == (2, False)
    assert check_repository(state).finding == (
        "on main, 2 changed file(s); without dvc.lock, so every stage will run"
    )


def test_an_unfinished_merge(clone: Path) -> None:
    for branch, text in (("other", "b\n"), ("main", "c\n")):
        if branch == "other":
            git(clone, "checkout", "-q", "-b", branch)
        else:
            git(clone, "checkout", "-q", branch)
        (clone / "dvc.lock").write_text(text, encoding="utf-8")
        git(clone, "commit", "-q", "-a", "-m", branch)
    git(clone, "merge", "other", check=False)
    found = check_repository(look_at_repository(clone))
    assert found.status == "warn"
    assert "merge is unfinished" in found.finding


def test_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".dvc").mkdir()
    assert check_repository(look_at_repository(tmp_path)).finding.startswith(
        "the repository has no"
    )


def test_a_project_below_the_root_of_git(clone: Path) -> None:
    project = clone / "ml" / "hash"
    shutil.copytree(clone / ".dvc", project / ".dvc")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "Below")
    (clone / "elsewhere").touch()
    (project / "new").touch()
    found = check_repository(look_at_repository(project))
    assert (found.status, found.finding.partition(";")[0]) == ("ok", "on main, 1 changed file(s)")


def test_a_folder_inside_a_project_is_not_its_root(clone: Path) -> None:
    (clone / "inside").mkdir()
    found = check_repository(look_at_repository(clone / "inside"))
    assert (found.status, found.finding) == ("fail", "there is no .dvc folder")
    assert "go to the root of the project" in found.remedy


def test_a_folder_without_git(tmp_path: Path) -> None:
    assert check_repository(look_at_repository(tmp_path)).status == "fail"


@pytest.mark.parametrize("missing", ["git", "dvc", "is_dvc"])
def test_what_is_missing_fails(clone: Path, missing: str) -> None:
    change: dict[str, Any] = {missing: False}
    state = replace(look_at_repository(clone), **change)
    found = check_repository(state)
    assert found.status == "fail"
    assert found.remedy


def test_without_git_on_the_path(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    state = look_at_repository(clone)
    assert not state.git
    assert check_repository(state).finding == "Git is missing"
