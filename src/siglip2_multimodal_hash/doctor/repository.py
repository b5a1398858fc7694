"""Checks of Git and DVC, on which experiments rest, and of the repository's state."""

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from siglip2_multimodal_hash.doctor.findings import Finding, fail, ok, warn

GIT_SECONDS = 20
# Files that Git leaves in its folder while it waits for the user.
_UNFINISHED = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
}


@dataclass(frozen=True)
class Repository:
    """State of the project's folder in Git and DVC.

    Attributes:
        git: Whether Git is installed.
        dvc: Whether DVC is installed.
        is_git: Whether the folder lies in a Git repository, at its root or below.
        is_dvc: Whether DVC was set up in it.
        branch: The branch; ``HEAD`` where none is checked out; None before the first commit.
        changed: Files in the folder that differ from the commit, new ones included.
        unfinished: ``merge``, ``rebase`` or ``cherry-pick`` where one waits; else empty.
        locked: Whether dvc.lock is there.
    """

    git: bool
    dvc: bool
    is_git: bool = False
    is_dvc: bool = False
    branch: str | None = None
    changed: int = 0
    unfinished: str = ""
    locked: bool = False


def look_at_repository(folder: Path) -> Repository:
    """Read the state of the repository at ``folder``; nothing is changed or locked."""
    dvc = shutil.which("dvc") is not None or importlib.util.find_spec("dvc") is not None
    is_dvc, locked = (folder / ".dvc").is_dir(), (folder / "dvc.lock").is_file()
    if shutil.which("git") is None:
        return Repository(False, dvc, (folder / ".git").exists(), is_dvc, locked=locked)
    state = _git(folder, "rev-parse", "--absolute-git-dir")
    if state is None:
        return Repository(True, dvc, False, is_dvc, locked=locked)
    return Repository(
        git=True,
        dvc=dvc,
        is_git=True,
        is_dvc=is_dvc,
        branch=_git(folder, "rev-parse", "--abbrev-ref", "HEAD"),
        changed=len((_git(folder, "status", "--porcelain", "--", ".") or "").splitlines()),
        unfinished=next((w for file, w in _UNFINISHED.items() if Path(state, file).exists()), ""),
        locked=locked,
    )


def check_repository(repository: Repository) -> Finding:
    """Check that `dvc repro` and `dvc exp run` will find what they need."""
    title = "git and dvc"
    needed = (
        (repository.git, "Git is missing", "install Git"),
        (repository.dvc, "DVC is missing", "install the project again"),
        (
            repository.is_git,
            "this folder is in no Git repository",
            "go to the root of a clone, or git init and commit here",
        ),
        (
            repository.is_dvc,
            "there is no .dvc folder",
            "go to the root of the project, git checkout .dvc, or dvc init (below Git's root: "
            "dvc init --subdir)",
        ),
    )
    for present, finding, remedy in needed:
        if not present:
            return fail(title, finding, remedy)
    if repository.branch is None:
        return warn(
            title, "the repository has no commit, and experiments start from one", "git commit"
        )
    if repository.unfinished:
        word = repository.unfinished
        return warn(
            title,
            f"a {word} is unfinished, and experiments need a commit to start from",
            f"git {word} --continue, or git {word} --abort",
        )
    changed = f"{repository.changed} changed file(s)" if repository.changed else "no change"
    locked = "" if repository.locked else "; without dvc.lock, so every stage will run"
    return ok(title, f"on {repository.branch}, {changed}{locked}")


def _git(folder: Path, *arguments: str) -> str | None:
    """Run Git and return its output; None where it fails."""
    # Without the optional locks a command that runs beside this one is not disturbed.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.rstrip("\n")
