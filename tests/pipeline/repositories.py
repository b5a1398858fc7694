"""Copies of the project as Git and DVC repositories of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.pipeline.conftest import ROOT

TRACKED = ("src", "stages", "models", "inputs", "configs", "dvc.yaml", ".dvcignore", ".gitignore")
GIT = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "test"), ("EMAIL", "test@example.invalid"))
}


def new_repository(folder: Path, params: str) -> None:
    """Put the project into ``folder`` with these parameters; nothing has run yet."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in TRACKED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    for command in ("git init -q", "dvc init -q", "dvc config core.analytics false"):
        assert run_in(folder, *command.split()).returncode == 0


def environment() -> dict[str, str]:
    """This environment, with its own tools first and the sources of the working folder."""
    tools = str(Path(sys.executable).parent)
    found = os.environ | GIT | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    found.pop("PYTHONPATH", None)
    return found


def run_in(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command there and wait for it."""
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
