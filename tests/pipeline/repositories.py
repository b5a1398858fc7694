"""Copies of the project as Git and DVC repositories of their own."""

import hashlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dvc.repo import Repo

from tests.forked_dvc import IMPORTED, STREAMS, run_dvc
from tests.pipeline.conftest import ROOT

_WITH_DVC = multiprocessing.get_context("forkserver")
_WITH_DVC.set_forkserver_preload(IMPORTED)
FOLDERS = ("src", "stages", "models", "inputs", "configs")
TRACKED = (*FOLDERS, "data/README.md", "dvc.yaml", ".dvcignore", ".gitignore")
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
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(source, folder / name)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    assert run_in(folder, "git", "init", "-q").returncode == 0
    init_dvc(folder)


def init_dvc(folder: Path, *, subdir: bool = False) -> None:
    """Make a repository of DVC with the settings of this one, at the root of Git or below it."""
    Repo.init(str(folder), subdir=subdir).close()
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")


def damaged_objects(folder: Path) -> list[str]:
    """Objects of the cache that are not what their names say: written through a link, say."""
    objects = [path for path in (folder / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    assert objects
    return [
        path.name
        for path in objects
        if hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.stem
    ]


def environment() -> dict[str, str]:
    """This environment, with its own tools first and the sources of the working folder."""
    tools = str(Path(sys.executable).parent)
    found = os.environ | GIT | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    found.pop("PYTHONPATH", None)
    return found


def run_in(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command there and wait for it; DVC in a fork of a process that has imported it."""
    env = environment() | variables
    if command[0] == "dvc":
        with tempfile.TemporaryDirectory() as streams:
            process = _WITH_DVC.Process(target=run_dvc, args=(folder, command, env, streams))
            process.start()
            process.join()
            out, err = (Path(streams, name).read_text(encoding="utf-8") for name in STREAMS)
        return subprocess.CompletedProcess(command, process.exitcode or 0, out, err)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
