"""Zip archives: the few members that are needed, under exact names; and whether all is readable."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from siglip2_multimodal_hash.datasets.acquisition.disk import (
    check_free,
    free_bytes,
    write_error,
)
from siglip2_multimodal_hash.datasets.containers import DAMAGED_MEMBER, ENCRYPTED, ZipContainer
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing

_CHUNK = 2**20
_REMEDY = "the archive is damaged or not the official one: remove it and fetch it again"


def unpack(
    archive: Path,
    members: Mapping[str, Path],
    free: Callable[[Path], int] = free_bytes,
) -> None:
    """Unpack members to files: all of them, or none.

    Args:
        archive: A zip file.
        members: Where each member goes, by its exact name. Others are not touched.
        free: Free bytes of a folder.

    Raises:
        DataError: The archive is damaged, lacks a member, holds a name that leads out of it, or
            the disk is too small.
    """
    with _opened(archive) as opened:
        infos = {name: _member(archive, opened, name) for name in members}
        needed = sum(info.file_size for info in infos.values())
        for folder in {target.parent for target in members.values()}:
            check_free(folder, needed, free(folder), f"unpacking {archive.name}")
        with ExitStack() as stack:
            # All are whole before the first takes its place.
            for name, target in members.items():
                temporary = stack.enter_context(replacing(target))
                _copy(archive, opened, infos[name], temporary)


def check_members(archive: Path, members: Mapping[str, Path]) -> None:
    """Check that an archive holds the members, reading only its directory.

    Raises:
        DataError: See :func:`unpack`.
    """
    with _opened(archive) as opened:
        for name in members:
            _member(archive, opened, name)


def check_images(archive: Path, folder: str, *, read: bool = False, progress: bool = False) -> None:
    """Check an archive of images that is to be read in place.

    Args:
        archive: A zip file.
        folder: The folder of its members, e.g. ``train2014``.
        read: Read every member and compare its CRC-32; else the directory alone is looked at.
        progress: Draw a bar.

    Raises:
        DataError: It is damaged, or holds no image or an unsafe or ambiguous name.
    """
    images = ZipContainer(archive, folder)
    files = images.files()
    if read:
        for file in tqdm(files, desc=f"checking {archive.name}", disable=not progress):
            images.read(file.name)


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, all of whose names stay inside it."""
    try:
        opened = zipfile.ZipFile(archive)
    except FileNotFoundError:
        raise DataError(f"{archive}: no such file", "put the archive back") from None
    except DAMAGED_MEMBER as error:
        raise DataError(f"{archive}: not a readable zip archive ({error})", _REMEDY) from None
    with opened:
        for name in opened.namelist():
            if _leads_out(name):
                raise DataError(f"{archive}: member {name!r} leads out of the archive", _REMEDY)
        yield opened


def _leads_out(name: str) -> bool:
    """Whether a member's name means a place outside, on any platform."""
    windows = PureWindowsPath(name)
    return ".." in windows.parts or bool(windows.anchor) or PurePosixPath(name).is_absolute()


def _member(archive: Path, opened: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    found = [info for info in opened.infolist() if info.filename == name]
    if len(found) != 1:
        reason = "twice" if found else "not"
        raise DataError(f"{archive}: member {name} is {reason} in the archive", _REMEDY)
    if found[0].flag_bits & ENCRYPTED:
        raise DataError(f"{archive}: member {name} is encrypted", _REMEDY)
    return found[0]


def _copy(archive: Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    try:
        with target.open("wb") as stream:
            for chunk in _chunks(archive, opened, info):
                stream.write(chunk)
    except OSError as error:
        raise write_error(target, error) from None


def _chunks(archive: Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of one member; its CRC-32 is compared at its end."""
    try:
        with opened.open(info) as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except DAMAGED_MEMBER as error:
        raise DataError(f"{archive}: {info.filename}: cannot be read ({error})", _REMEDY) from None
