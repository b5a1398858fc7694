"""COCO 2014, from nothing to a folder in the layout of :mod:`..layout`.

Archives of images stay as they are, since they are read in place; of the other archives the
members that are missing are unpacked, and the archive is removed if it was fetched here. A copy
that is given by path is linked, not copied, or unpacked from where it lies.

``downloads.json`` under the root holds the size, the SHA-256 and the address of each file that was
fetched. A later download of the same file must have the same bytes.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from siglip2_multimodal_hash.datasets.acquisition.archives import (
    check_images,
    check_members,
    unpack,
)
from siglip2_multimodal_hash.datasets.acquisition.download import Part, Transfer, fetch
from siglip2_multimodal_hash.datasets.hashnet_lists import read_list
from siglip2_multimodal_hash.datasets.layout import (
    ANNOTATION_NAMES,
    HASHNET_FOLDER,
    HASHNET_LISTS,
    IMAGE_FOLDERS,
    hashnet_list,
    images_of,
    split_file,
)
from siglip2_multimodal_hash.errors import DataError, explained_disk
from siglip2_multimodal_hash.files import (
    check_free,
    file_sha256,
    require_free,
    size_text,
    write_json,
)
from siglip2_multimodal_hash.params import DownloadParams
from siglip2_multimodal_hash.progress import phase

LOCK_FILE = ".downloads.lock"
NOTES_FILE = "downloads.json"
_SPLIT_MEMBER = "dataset_coco.json"
_CORRECT = "correct it under runtime.download"
_ROOM = "free some space, or check the folder's permissions, and rerun: downloaded data is kept"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """Record of a file: its size in bytes, its SHA-256 in hex, and its origin."""

    bytes: int
    sha256: str
    url: str = ""


OFFICIAL = {
    "http://images.cocodataset.org/zips/train2014.zip": Known(
        13_510_573_713, "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775"
    ),
    "http://images.cocodataset.org/zips/val2014.zip": Known(
        6_645_013_297, "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0"
    ),
    "http://images.cocodataset.org/annotations/annotations_trainval2014.zip": Known(
        252_872_794, "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009"
    ),
    "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip": Known(
        36_745_453, "4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817"
    ),
}
"""Sizes and digests of the official archives, by address. Neither site publishes any; these are
the ones that libraries of datasets compare with (SHA-256 in torchvision's prototype datasets and
in the COCO recipe of MLCommons Croissant, the split's in reproductions of Karpathy's)."""


@dataclass(frozen=True)
class Piece:
    """One thing to fetch.

    Attributes:
        source: Its address, or the path of a copy.
        target: The file that a download makes, relative to the root.
        members: For an archive that is unpacked: the members, each of which goes below the root
            under its own name.
        image_folder: For an archive of images, which stays as it is: the folder inside it.
        unpacked: Size of the members of the official archive, about, in bytes.
    """

    source: str
    target: str
    members: tuple[str, ...] = ()
    image_folder: str | None = None
    unpacked: int = 0

    @property
    def official(self) -> Known | None:
        """Published size and digest of the file."""
        return OFFICIAL.get(self.source)

    @property
    def path(self) -> Path | None:
        """The path that the source means, unless it is an address on the network."""
        if self.source.startswith("file://"):
            return Path(url2pathname(urlsplit(self.source).path))
        return Path(self.source) if Path(self.source).is_absolute() else None


def missing_pieces(root: Path, download: DownloadParams, *, hashnet: bool) -> list[Piece]:
    """The pieces that are not under ``root`` yet; a folder of images is as good as their archive.

    Args:
        root: The folder that has, or is to have, the layout of :mod:`..layout`.
        download: Origin of each piece.
        hashnet: Ask for HashNet's lists too.
    """
    images = dict(zip(IMAGE_FOLDERS, (download.train_images, download.val_images), strict=True))
    pieces = [
        Piece(source, f"images/{folder}.zip", image_folder=folder)
        for folder, source in images.items()
        if images_of(root, folder) is None
    ]
    if members := tuple(name for name in ANNOTATION_NAMES if not (root / name).is_file()):
        target = "annotations_trainval2014.zip"
        pieces.append(Piece(download.annotations, target, members, unpacked=600_000_000))
    if split_file(root) is None:
        target, members = "caption_datasets.zip", (_SPLIT_MEMBER,)
        pieces.append(Piece(download.karpathy_split, target, members, unpacked=145_000_000))
    if hashnet:
        pieces += [
            Piece(f"{download.hashnet_lists.rstrip('/')}/{name}", f"{HASHNET_FOLDER}/{name}")
            for split, (name, _) in HASHNET_LISTS.items()
            if hashnet_list(root, split) is None
        ]
    return pieces


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
        download: Origin of each piece.
        how: Attempts, pauses.
        hashnet: Fetch HashNet's lists too.
        accept_changed: Take a file whose size or digest is not what was known of it.

    Returns:
        Paths of the fetched files, relative to the root.

    Raises:
        InputError: Something lies where a piece goes that is not of a download.
        DataError: A piece cannot be had, is damaged or is another than before, the disk is too
            small, or another process is at work. Pieces that are complete stay.
    """
    with explained_disk(root, _ROOM):
        root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(root / LOCK_FILE, timeout=0):
                pieces = missing_pieces(root, download, hashnet=hashnet)
                _prepare(root, pieces)
                for piece in pieces:
                    with explained_disk(root / piece.target, _ROOM):
                        _acquire(root, piece, how, accept_changed=accept_changed)
        except Timeout:
            raise DataError(
                f"{root}: another process is fetching COCO into this folder",
                "wait until it is done",
            ) from None
    return [piece.target for piece in pieces]


def _prepare(root: Path, pieces: list[Piece]) -> None:
    """Log the size of the missing files, and refuse a disk too small for them, before any download.

    Raises:
        InputError: Something of the user's lies where a piece goes.
        DataError: The disk is too small.
    """
    if not pieces:
        return
    lines, known, needed = [], 0, 0
    for piece in pieces:
        size = "size unknown"
        if piece.official is not None:
            size = size_text(piece.official.bytes)
            known += piece.official.bytes
            here = Part(root / piece.target).size()
            needed += max(0, piece.official.bytes - here) + piece.unpacked
        lines.append(f"\n     {piece.target}: {piece.source} ({size})")
    at_least = " at least" if any(piece.official is None for piece in pieces) else ""
    total = f"{at_least} {size_text(known)}" if known else ""
    _log.info("%s: missing, to fetch%s:%s", root, total, "".join(lines))
    _read_notes(root)
    for piece in pieces:
        for member in piece.members:
            require_free(root / member)
        if piece.path is None and not (root / piece.target).is_file():
            Part(root / piece.target).require_ours()
    check_free(root, needed, "what is missing of COCO 2014")


def _acquire(root: Path, piece: Piece, how: Transfer, *, accept_changed: bool) -> None:
    if piece.path is not None:
        _log.info("%s: from %s", piece.target, piece.path)
        _take_copy(root, piece, piece.path)
        return
    archive = root / piece.target
    # An archive that is to be unpacked may lie there whole: the process was killed after it came.
    if not archive.is_file():
        _log.info("%s: fetching %s", piece.target, piece.source)
        _download(root, piece, how, accept_changed=accept_changed)
    if piece.members:
        unpack(archive, piece.members, root)
        noted = _read_notes(root).get(piece.target)
        if noted is not None and file_sha256(archive) == noted.sha256:  # else it is the user's
            archive.unlink()


def _download(root: Path, piece: Piece, how: Transfer, *, accept_changed: bool) -> None:
    notes = _read_notes(root)
    noted = notes.get(piece.target)
    known = None if accept_changed else noted or piece.official

    def check(path: Path) -> None:
        # Without a digest that vouches for the bytes, the CRC-32 of each photo has to.
        if piece.image_folder is not None:
            check_images(path, piece.image_folder, read=known is None)
        elif piece.members:
            check_members(path, piece.members)
        elif not read_list(path):
            raise DataError(f"{path}: empty", "check runtime.download.hashnet_lists")
        with phase(f"{piece.target}: SHA-256"):
            found = Known(path.stat().st_size, file_sha256(path), piece.source)
        if known is not None and (found.bytes, found.sha256) != (known.bytes, known.sha256):
            whence = f"{NOTES_FILE} notes from its first download" if noted else "is published"
            raise DataError(
                f"{piece.source}: the file has {found.bytes} bytes and SHA-256 {found.sha256}, but "
                f"for {piece.target} {whence} {known.bytes} bytes and {known.sha256}",
                "it was damaged on its way, or replaced: it is not kept; run again to fetch it "
                "anew, or `smhash download coco2014 --accept-changed` to take the new one",
            )
        # Before the file has its name, which tells it from one that the user put there.
        entries = {name: asdict(one) for name, one in (notes | {piece.target: found}).items()}
        write_json(root / NOTES_FILE, entries)

    size = None if known is None else known.bytes
    fetch(piece.source, root / piece.target, how, size=size, check=check)


def _read_notes(root: Path) -> dict[str, Known]:
    """The notes of earlier downloads, by their paths under the root.

    Raises:
        DataError: The file holds anything else.
    """
    path = root / NOTES_FILE
    if not path.exists():
        return {}
    try:
        return TypeAdapter(dict[str, Known]).validate_json(path.read_bytes())
    except ValidationError:
        raise DataError(f"{path}: not the notes of a download", "move the file away") from None


def _take_copy(root: Path, piece: Piece, path: Path) -> None:
    """Link what can be read where it lies; unpack the rest from there.

    A folder holds the images themselves, or the files that the archive would have held, with or
    without the folder that they have there.
    """
    if path.is_dir():
        if piece.image_folder is not None:
            _link(root / "images" / piece.image_folder, path)
        for member in piece.members:
            found = next(filter(Path.is_file, (path / member, path / Path(member).name)), None)
            if found is None:
                raise DataError(f"{path / member}: no such file", _CORRECT)
            _link(root / member, found)
    elif not path.is_file():
        raise DataError(f"{path}: no such file or folder", _CORRECT)
    elif piece.members and path.suffix == ".zip":
        unpack(path, piece.members, root)
    elif piece.members and _SPLIT_MEMBER not in piece.members:
        raise DataError(f"{path}: neither a folder nor a zip archive", _CORRECT)
    else:
        if piece.image_folder is not None:
            check_images(path, piece.image_folder)
        _link(root / (piece.members or (piece.target,))[0], path)


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
