"""COCO 2014, from nothing to a folder in the layout of :mod:`..layout`.

Archives of images stay as they are, since they are read in place; of the other archives the
members that are missing are unpacked, and the archive is removed if it was fetched here. A copy
that is given by path is linked, not copied, or unpacked from where it lies.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from siglip2_multimodal_hash.datasets.acquisition.archives import (
    check_images,
    check_members,
    unpack,
)
from siglip2_multimodal_hash.datasets.acquisition.digests import Notes, check_same, measure
from siglip2_multimodal_hash.datasets.acquisition.disk import check_free, readable, write_error
from siglip2_multimodal_hash.datasets.acquisition.http import Transfer, fetch
from siglip2_multimodal_hash.datasets.acquisition.partial import Partial
from siglip2_multimodal_hash.datasets.acquisition.pieces import (
    SPLIT_MEMBER,
    Piece,
    local_path,
    missing_pieces,
)
from siglip2_multimodal_hash.datasets.protocols.hashnet import read_list
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import file_sha256, require_free
from siglip2_multimodal_hash.params import DownloadParams

LOCK_FILE = ".downloads.lock"
_log = logging.getLogger(__name__)


def acquire_coco(
    root: Path,
    download: DownloadParams,
    how: Transfer,
    *,
    hashnet: bool = False,
    accept_changed: bool = False,
) -> list[str]:
    """Fetch what is missing under ``root``; what is there is left alone.

    Args:
        root: The folder, made where it is not there.
        download: Where each piece comes from.
        how: Attempts, pauses, progress.
        hashnet: Fetch HashNet's lists too.
        accept_changed: Take a file whose size or digest is not what was known of it.

    Returns:
        What was fetched, relative to the root.

    Raises:
        InputError: Something lies where a piece goes that is not of a download.
        DataError: A piece cannot be had, is damaged or is another than before, the disk is too
            small, or another process is at work. Pieces that are complete stay.
    """
    lock = FileLock(root / LOCK_FILE)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(
            f"{root}: another process is fetching COCO into this folder", "wait until it is done"
        ) from None
    except OSError as error:
        raise write_error(root, error) from None
    try:
        pieces = missing_pieces(root, download, hashnet=hashnet)
        _announce(root, pieces)
        _require_free(root, pieces)
        _check_disk(root, pieces, how)
        for piece in pieces:
            try:
                _acquire(root, piece, how, accept_changed=accept_changed)
            except OSError as error:
                raise write_error(root / piece.target, error) from None
    finally:
        lock.release()
    return [piece.target for piece in pieces]


def _announce(root: Path, pieces: list[Piece]) -> None:
    """Say how much will come before any of it does."""
    if not pieces:
        return
    lines = []
    for piece in pieces:
        size = "size unknown" if piece.official is None else readable(piece.official.bytes)
        lines.append(f"\n     {piece.target}: {piece.source} ({size})")
    known = [piece.official.bytes for piece in pieces if piece.official is not None]
    at_least = "" if len(known) == len(pieces) else " at least"
    total = f"{at_least} {readable(sum(known))}" if known else ""
    _log.info("%s: missing, to fetch%s:%s", root, total, "".join(lines))


def _require_free(root: Path, pieces: list[Piece]) -> None:
    """Before the first byte: nothing of the user's may lie where a piece goes."""
    for piece in pieces:
        for member in piece.members.values():
            require_free(root / member)
        if local_path(piece.source) is None and not (root / piece.target).is_file():
            Partial(root / piece.target).require_ours()


def _check_disk(root: Path, pieces: list[Piece], how: Transfer) -> None:
    """Before the first byte: all that is known to come must fit."""
    needed = 0
    for piece in pieces:
        if piece.official is not None:
            needed += max(0, piece.official.bytes - Partial(root / piece.target).size())
            needed += piece.unpacked
    check_free(root, needed, how.free(root), "what is missing of COCO 2014")


def _acquire(root: Path, piece: Piece, how: Transfer, *, accept_changed: bool) -> None:
    path = local_path(piece.source)
    if path is not None:
        _log.info("%s: from %s", piece.target, path)
        _take_local(root, piece, path, how)
        return
    archive = root / piece.target
    # An archive that is to be unpacked may lie there whole: the process was killed after it came.
    if not archive.is_file():
        size = f" ({readable(piece.official.bytes)})" if piece.official is not None else ""
        _log.info("%s: fetching %s%s", piece.target, piece.source, size)
        _download(root, piece, how, accept_changed=accept_changed)
    if piece.members:
        _unpack(root, piece, archive, how)
        noted = Notes(root).get(piece.target)
        if noted is not None and file_sha256(archive) == noted.sha256:  # else it is the user's
            archive.unlink()


def _download(root: Path, piece: Piece, how: Transfer, *, accept_changed: bool) -> None:
    notes = Notes(root)
    noted = notes.get(piece.target)
    known = None if accept_changed else noted or piece.official

    def check(path: Path) -> None:
        _check_content(piece, path, how, vouched=known is not None)
        found = measure(path, piece.source, name=piece.target, progress=how.progress)
        if known is not None:
            check_same(piece.target, found, known, noted=noted is not None)
        # Before the file has its name, which tells it from one that the user put there.
        notes.put(piece.target, found)

    size = None if known is None else known.bytes
    fetch(piece.source, root / piece.target, how, size=size, check=check)


def _check_content(piece: Piece, path: Path, how: Transfer, *, vouched: bool) -> None:
    """Look inside; where no digest vouches for the bytes, the CRC-32 of each photo has to."""
    if piece.image_folder is not None:
        check_images(path, piece.image_folder, read=not vouched, progress=how.progress)
    elif piece.members:
        check_members(path, {name: Path(target) for name, target in piece.members.items()})
    elif not read_list(path):
        raise DataError(f"{path}: empty", "check runtime.download.hashnet_lists")


def _take_local(root: Path, piece: Piece, path: Path, how: Transfer) -> None:
    """Link what can be read where it lies; unpack the rest from there.

    A folder holds the images themselves, or the files that the archive would have held, with or
    without the folder that they have there.
    """
    if path.is_dir():
        if piece.image_folder is not None:
            _link(root / "images" / piece.image_folder, path)
        for member, target in piece.members.items():
            _link(root / target, _first(path / member, path / Path(member).name))
    elif not path.is_file():
        raise DataError(f"{path}: no such file or folder", "correct it under runtime.download")
    elif piece.members and path.suffix == ".zip":
        _unpack(root, piece, path, how)
    elif piece.members and SPLIT_MEMBER not in piece.members:
        raise DataError(
            f"{path}: neither a folder nor a zip archive", "correct it under runtime.download"
        )
    else:
        if piece.image_folder is not None:
            check_images(path, piece.image_folder)
        _link(root / next(iter(piece.members.values()), piece.target), path)


def _first(*paths: Path) -> Path:
    found: Callable[[Path], bool] = Path.is_file
    path = next(filter(found, paths), None)
    if path is None:
        raise DataError(f"{paths[0]}: no such file", "correct the folder under runtime.download")
    return path


def _unpack(root: Path, piece: Piece, archive: Path, how: Transfer) -> None:
    members = {name: root / target for name, target in piece.members.items()}
    for target in members.values():
        target.parent.mkdir(parents=True, exist_ok=True)
    unpack(archive, members, how.free)


def _link(link: Path, target: Path) -> None:
    if link.exists():
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    require_free(link)  # such as a link whose target is on a disk that is not mounted
    try:
        link.symlink_to(target, target_is_directory=target.is_dir())
    except OSError as error:
        raise DataError(
            f"{link}: no link to {target} can be made here ({error.strerror})",
            f"copy it there, or set runtime.coco_root to a folder that holds {link.name}",
        ) from None
