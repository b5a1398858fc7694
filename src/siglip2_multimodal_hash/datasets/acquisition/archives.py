"""Zip archives: unpacking of single members under exact names, and checks of what is inside."""

import zipfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath, PureWindowsPath

from siglip2_multimodal_hash.datasets.containers import (
    DAMAGED_MEMBER,
    ENCRYPTED,
    ZipContainer,
    open_zip,
)
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import check_free, replacing
from siglip2_multimodal_hash.progress import track

_CHUNK = 2**20
_REMEDY = "the archive is damaged or not the official one: remove it and fetch it again"


def unpack(archive: Path, names: Collection[str], folder: Path) -> None:
    """Unpack members to files: all of them, or none.

    Args:
        archive: A zip file.
        names: The exact names of the members. Others are not touched.
        folder: Each member goes below it under its own name.

    Raises:
        DataError: The archive is damaged, lacks a member, holds a name that leads out of it, or
            the disk is too small.
        InputError: Something of the user's lies where a member goes.
        OSError: The disk is full, or a folder cannot be written.
    """
    with open_zip(archive) as opened:
        infos = _find(archive, opened, names)
        check_free(folder, sum(info.file_size for info in infos), f"unpacking {archive.name}")
        with ExitStack() as stack:
            # All are whole before the first takes its place.
            for info in infos:
                temporary = stack.enter_context(replacing(folder / info.filename))
                with temporary.open("wb") as stream:
                    for chunk in _chunks(archive, opened, info):
                        stream.write(chunk)


def check_members(archive: Path, names: Collection[str]) -> None:
    """Check that an archive holds the members, reading only its directory.

    Raises:
        DataError: See :func:`unpack`.
    """
    with open_zip(archive) as opened:
        _find(archive, opened, names)


def check_images(archive: Path, folder: str, *, read: bool = False) -> None:
    """Check an archive of images that is to be read in place.

    Args:
        archive: A zip file.
        folder: The folder of its members, e.g. ``train2014``.
        read: Read every member and compare its CRC-32; else the directory alone is looked at.

    Raises:
        DataError: It is damaged, or holds no image or an unsafe or ambiguous name.
    """
    images = ZipContainer(archive, folder)
    files = images.files()
    if read:
        for file in track(files, f"checking {archive.name}", "image"):
            images.read(file.name)


def _find(archive: Path, opened: zipfile.ZipFile, names: Collection[str]) -> list[zipfile.ZipInfo]:
    """The members of these names, once all names in the archive stay inside it."""
    found: dict[str, list[zipfile.ZipInfo]] = {name: [] for name in names}
    for info in opened.infolist():
        # On any platform, whatever this one makes of a backslash or a drive.
        name, windows = info.filename, PureWindowsPath(info.filename)
        if ".." in windows.parts or windows.anchor or PurePosixPath(name).is_absolute():
            raise DataError(f"{archive}: member {name!r} leads out of the archive", _REMEDY)
        found.get(name, []).append(info)
    for name, infos in found.items():
        if len(infos) != 1 or infos[0].flag_bits & ENCRYPTED:
            reason = "encrypted" if len(infos) == 1 else f"{'twice' if infos else 'not'} there"
            raise DataError(f"{archive}: member {name} is {reason}", _REMEDY)
    return [infos[0] for infos in found.values()]


def _chunks(archive: Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of one member; its CRC-32 is compared at its end."""
    try:
        with opened.open(info) as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except DAMAGED_MEMBER as error:
        raise DataError(f"{archive}: {info.filename}: cannot be read ({error})", _REMEDY) from None
