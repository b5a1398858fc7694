"""The user's photos: files by name, and all those in folders."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from siglip2_multimodal_hash.datasets.images import decode_upright
from siglip2_multimodal_hash.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def find_photos(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files behind the paths, each once: files as they are, folders searched to the bottom.

    Files come in the order in which they were named, those of a folder by their names. A file that
    is named is tried whatever its suffix; of a folder, hidden files and others than
    :data:`SUFFIXES` are passed over, and links to folders are not followed.

    Returns:
        The files; and a message for each path that leads to none.
    """
    found: dict[Path, Path] = {}
    failures: list[str] = []
    for path in paths:
        if not path.is_dir():
            found.setdefault(path.absolute(), path)
            continue
        inside = list(_below(path))
        for one in inside:
            found.setdefault(one.absolute(), one)
        if not inside:
            failures.append(f"{path}: no photo in this folder ({', '.join(SUFFIXES)})")
    return list(found.values()), failures


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                yield Path(place) / name


def read_photo(path: Path) -> Image.Image:
    """Decode one photo to RGB and turn it upright.

    Raises:
        DataError: The file is missing, no regular file, cannot be read, or is no image.
        InputError: See :func:`.images.explained_memory`.
    """
    try:
        # Pipes and devices may never end, or never begin.
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path}: not a regular file")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except MemoryError:
        raise DataError(f"{path}: cannot be read (larger than the memory)") from None
    return decode_upright(data, str(path))
