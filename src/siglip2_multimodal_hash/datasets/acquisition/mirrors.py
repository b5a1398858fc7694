"""Pieces of COCO from a local copy: linked and read where they lie, not copied."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from siglip2_multimodal_hash.datasets.acquisition.archives import check_images, unpack
from siglip2_multimodal_hash.datasets.acquisition.pieces import Piece
from siglip2_multimodal_hash.datasets.containers import open_container
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing

_LINE = re.compile(rb"\S+\.jpg(?: [01])+\s*")


def local_path(address: str) -> Path | None:
    """The path that an address means, by itself or as ``file://``; None for http(s)."""
    if address.startswith("file:"):
        return Path(url2pathname(urlsplit(address).path))
    return None if address.startswith(("http:", "https:")) else Path(address)


def take_local(piece: Piece, path: Path, root: Path, free: Callable[[Path], int]) -> None:
    """Make a local copy of a piece known under ``root``.

    Args:
        piece: What it is.
        path: An archive or a folder; for a piece of one file, that file too.
        root: The root; it gets a link, or the members of an archive that has to be unpacked.
        free: Free bytes of a folder.

    Raises:
        DataError: There is nothing at ``path``, or not what the piece consists of.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder", f"correct runtime.download.{piece.key}")
    if piece.folder and path.is_dir():
        open_container(path, piece.folder).files()
        _link(root / "images" / piece.folder, path)
    elif piece.folder:
        check_images(path, piece.folder)
        _link(root / piece.path, path)
    elif piece.members and path.is_file() and path.suffix != ".json":
        unpack(path, {name: root / name for name in piece.members}, free)
    elif piece.members:
        found = {name: _member_file(piece, path, name) for name in piece.members}
        for name, file in found.items():
            _link(root / name, file)
    else:
        check_list(path)
        _link(root / piece.path, path)


def check_list(path: Path) -> None:
    """Check the form of one of HashNet's lists: a path of a photo and its labels in each line.

    Raises:
        DataError: It has another form, as the page of a portal has that a server sends instead.
    """
    with path.open("rb") as stream:
        number = 0
        for number, line in enumerate(stream, start=1):
            if not _LINE.fullmatch(line):
                raise DataError(
                    f"{path}: line {number} is no path of a photo followed by labels",
                    "this is none of HashNet's lists: check runtime.download.hashnet_lists",
                )
    if not number:
        raise DataError(f"{path}: empty", "check runtime.download.hashnet_lists")


def _member_file(piece: Piece, path: Path, name: str) -> Path:
    """Where a file of the piece lies at ``path``: that itself, or below it, or flat in it."""
    if path.is_file() and len(piece.members) == 1:
        return path
    candidates = (path / name, path / Path(name).name)
    found = next((one for one in candidates if one.is_file()), None)
    if found is None:
        raise DataError(
            f"{path}: {name} is not there",
            f"runtime.download.{piece.key} must be an archive, or a folder with "
            + ", ".join(piece.members),
        )
    return found


def _link(link: Path, target: Path) -> None:
    try:
        with replacing(link) as temporary:
            temporary.symlink_to(target.absolute(), target_is_directory=target.is_dir())
    except OSError as error:
        raise DataError(
            f"{link}: cannot be linked to {target} ({error.strerror})",
            "allow links there, or move the files to their place under the root",
        ) from None
