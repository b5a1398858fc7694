"""Obstacles in the place of an output, and its surroundings afterwards."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PLACES = (
    "new",
    "new below a new folder",
    "empty folder",
    "file",
    "folder",
    "link to a file",
    "link to a folder",
    "dangling link",
    "read-only file",
    "pipe",
    "below a file",
    "below a dangling link",
    "below a link to a folder",
    "mount point",
    "mounted file",
    "repository",
    "above the repository",
    "root",
    "dataset",
)
FREE = ("new", "new below a new folder", "below a link to a folder")


@contextlib.contextmanager
def place(kind: str, project: Path) -> Iterator[Path]:
    """The output's path, relative to the project's folder, with what lies there.

    The test is skipped where a mount is asked for and not permitted.
    """
    mine = project / "holiday"
    (mine / "sub").mkdir(parents=True)
    (mine / "sub" / "photo.jpg").write_bytes(b"a photo")
    named, target = mine / "page.md", os.path.join("holiday", "page.md")
    others = {
        "new below a new folder": "holiday/a/b/page.md",
        "folder": "holiday/sub",
        "below a file": "holiday/sub/photo.jpg/page.md",
        "below a dangling link": "holiday/page.md/page.md",
        "below a link to a folder": "album/page.md",
        "repository": ".",
        "above the repository": "..",
        "root": "/",
        "dataset": "data/mojicoco/source",
    }
    (project / "album").symlink_to("holiday", target_is_directory=True)
    with contextlib.ExitStack() as stack:
        if kind in ("file", "read-only file", "mounted file"):
            named.write_text("an old page")
        if kind == "read-only file":
            named.chmod(0o444)
        elif kind == "link to a file":
            named.symlink_to("sub/photo.jpg")
        elif kind == "link to a folder":
            named.symlink_to("sub", target_is_directory=True)
        elif kind in ("dangling link", "below a dangling link"):
            named.symlink_to("no/such/file")
        elif kind == "pipe":
            os.mkfifo(named)
        elif kind == "empty folder":
            named.mkdir()
        elif kind == "mount point":
            named.mkdir()
            stack.enter_context(_mounted(named, "-t", "tmpfs", "none"))
        elif kind == "mounted file":
            stack.enter_context(_mounted(named, "--bind", str(mine / "sub" / "photo.jpg")))
        elif kind == "dataset":
            (project / target).parent.mkdir(exist_ok=True)
            image = project / "data/mojicoco/source/images/1.jpg"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(b"an image")
        yield Path(others.get(kind, target))


@contextlib.contextmanager
def _mounted(point: Path, *options: str) -> Iterator[None]:
    done = subprocess.run(["mount", *options, str(point)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no mounts are permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(point)], check=True)


def everything(folder: Path) -> dict[str, object]:
    """All below a folder by its path: bytes and rights of files, where links lead, and the rest."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if path.is_symlink():
            found[str(path.relative_to(folder))] = os.readlink(path)
        else:
            content = path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(folder))] = (oct(mode), content)
    return found
