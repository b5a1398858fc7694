"""Containers of image files: a folder, or an official archive that is read in place."""

import contextlib
import errno
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple, Protocol

from siglip2_multimodal_hash.datasets.layout import is_safe_name
from siglip2_multimodal_hash.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
# A guard against an archive whose members unpack to more than memory; COCO's largest is 0.9 MB.
MAX_FILE_BYTES = 256 * 2**20

ENCRYPTED = 0x1  # of a member's flag bits
# RuntimeError (NotImplementedError included): encrypted, or an unknown compression.
DAMAGED_MEMBER = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class ImageFile(NamedTuple):
    """One image file as its container lists it; ``crc32`` only where the container knows it."""

    name: str
    size: int
    crc32: int | None


class Container(Protocol):
    """The image files of one folder, such as COCO's ``val2014``."""

    def read(self, name: str) -> bytes:
        """The stored bytes of a file.

        Args:
            name: A safe name, see :func:`.layout.is_safe_name`.

        Raises:
            DataError: There is no such file, or it cannot be read whole.
        """

    def locate(self, name: str) -> Path:
        """The path of a file of its own, whether or not it is there.

        Raises:
            DataError: It has none, or is a link that leads out.
        """

    def files(self) -> list[ImageFile]:
        """All image files in ascending name, without opening any; other files are left out.

        A folder may be empty: a part of COCO can lie in the other one.

        Raises:
            DataError: The container cannot be read, is an archive without images, or holds an
                unsafe or ambiguous name.
        """


class FolderContainer:
    """A folder of image files. The folder itself may be a link; no file in it may lead out.

    Args:
        folder: The folder.
        within: The folder above it that a link must not lead out of; None: itself.
    """

    def __init__(self, folder: Path, within: Path | None = None) -> None:
        self._folder = folder
        self._within = within or folder

    def read(self, name: str) -> bytes:
        """See :class:`Container`."""
        path = self._folder / name
        try:
            if path.is_symlink():
                self._refuse_escape(path)
            with path.open("rb") as stream:
                _check_size(str(path), os.fstat(stream.fileno()).st_size)
                return stream.read()
        except FileNotFoundError:
            raise DataError(
                f"{path}: no such file",
                "the folder is incomplete: unpack the archive again, or remove the folder and "
                f"leave {self._folder.name}.zip in its place",
            ) from None
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror})", "check the file and the disk"
            ) from None

    def locate(self, name: str) -> Path:
        """See :class:`Container`."""
        path = self._folder / name
        # A link to nowhere is a file that is not there.
        with contextlib.suppress(OSError):
            if path.is_symlink():
                self._refuse_escape(path)
        return path

    def files(self) -> list[ImageFile]:
        """See :class:`Container`."""
        found: list[ImageFile] = []
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if not _is_image(entry.name):
                        continue
                    _check_listed(str(self._folder), entry.name)
                    if entry.is_symlink():
                        self._refuse_escape(self._folder / entry.name)
                    if entry.is_file():
                        found.append(ImageFile(entry.name, entry.stat().st_size, None))
        except OSError as error:
            raise DataError(
                f"{self._folder}: cannot be listed ({error.strerror})", "check the folder"
            ) from None
        return sorted(found)

    def _refuse_escape(self, link: Path) -> None:
        try:
            target = link.resolve(strict=True)
        except RuntimeError:  # a loop of links, before Python 3.13
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        if not target.is_relative_to(self._within.resolve()):
            raise DataError(
                f"{link}: a link that leads out of its folder, to {target}",
                "put the image itself there; link the whole folder if it lies elsewhere",
            )


class ZipContainer:
    """A zip archive whose members are ``{folder}/{name}``, read at random, nothing unpacked.

    An open archive is never shared between processes (they would move one file position): each
    process opens its own at first use, after a fork too, and a pickled container is a closed one.
    """

    def __init__(self, archive: Path, folder: str) -> None:
        self._archive = archive
        self._folder = folder
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def __getstate__(self) -> dict[str, object]:
        """The state without the open archive."""
        return {**self.__dict__, "_opened": None}

    def read(self, name: str) -> bytes:
        """See :class:`Container`."""
        member = f"{self._folder}/{name}"
        where = f"{self._archive}: {member}"
        archive = self._open()
        try:
            info = archive.getinfo(member)
            _check_size(where, info.file_size)
            return archive.read(info)
        except KeyError:
            raise DataError(
                f"{self._archive}: no member {member}", "the archive is not the official one"
            ) from None
        except DAMAGED_MEMBER as error:
            raise DataError(
                f"{where}: cannot be read ({error})", "the archive is damaged: fetch it again"
            ) from None

    def locate(self, name: str) -> Path:
        """See :class:`Container`."""
        raise DataError(
            f"{self._archive}: an archive: {self._folder}/{name} has no path of its own to link to",
            "unpack it where it lies, or set report.link_images: false",
        )

    def files(self) -> list[ImageFile]:
        """See :class:`Container`."""
        found: dict[str, ImageFile] = {}
        for info in self._open().infolist():
            folder, _, name = info.filename.partition("/")
            if folder != self._folder or not _is_image(name):
                continue
            _check_listed(str(self._archive), name)
            if name in found or info.flag_bits & ENCRYPTED:
                reason = "occurs twice" if name in found else "is encrypted"
                raise DataError(
                    f"{self._archive}: member {info.filename} {reason}",
                    "the archive is not the official one: fetch it again",
                )
            found[name] = ImageFile(name, info.file_size, info.CRC)
        if not found:
            raise DataError(
                f"{self._archive}: no image under {self._folder}/ in the archive",
                f"members must be named {self._folder}/NAME.jpg, as in the official archive",
            )
        return sorted(found.values())

    def _open(self) -> zipfile.ZipFile:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), open_zip(self._archive))
        return self._opened[1]


def open_zip(archive: Path) -> zipfile.ZipFile:
    """Open a zip archive.

    Raises:
        DataError: There is none, or its directory cannot be read.
    """
    try:
        return zipfile.ZipFile(archive)
    except FileNotFoundError:
        raise DataError(f"{archive}: no such file", "put the archive back") from None
    except DAMAGED_MEMBER as error:
        raise DataError(
            f"{archive}: not a readable zip archive ({error})",
            "the download is incomplete or damaged: fetch it again",
        ) from None


def open_container(path: Path, folder: str, within: Path | None = None) -> Container:
    """The container at ``path``, a folder or an archive, for the images of ``folder``.

    Args:
        path: The folder or archive.
        folder: Its name.
        within: See :class:`FolderContainer`.
    """
    return FolderContainer(path, within) if path.is_dir() else ZipContainer(path, folder)


def _is_image(name: str) -> bool:
    """Test for an image by its suffix; hidden files are desktops' leftovers (``._COCO_….jpg``)."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def _check_listed(container: str, name: str) -> None:
    if not is_safe_name(name):
        raise DataError(
            f"{container}: {name!r} is not a plain file name",
            "rename the file, or fetch the archive again",
        )


def _check_size(where: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise DataError(
            f"{where}: {size} bytes, above the limit of {MAX_FILE_BYTES} per image",
            "no photo is that large: check the file",
        )
