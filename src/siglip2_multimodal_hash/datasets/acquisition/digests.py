"""SHA-256 of what was downloaded: published ones, and those noted at the first download.

``downloads.json`` under the root holds, for each file, its size, its digest and where it came from.
A later download of the same file must have the same bytes.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import read_json, write_json

NOTES_FILE = "downloads.json"
_CHUNK = 2**20


@dataclass(frozen=True)
class Known:
    """What is known of a file: its size in bytes, its SHA-256 in hex, and where it lies."""

    bytes: int
    sha256: str
    url: str


class Notes:
    """The file :data:`NOTES_FILE` under ``root``."""

    def __init__(self, root: Path) -> None:
        self._path = root / NOTES_FILE

    def get(self, name: str) -> Known | None:
        """What was noted about a file, by its path under the root.

        Raises:
            DataError: The notes are damaged.
        """
        entry = self._read().get(name)
        if entry is None:
            return None
        try:
            return Known(int(entry["bytes"]), str(entry["sha256"]), str(entry["url"]))
        except (KeyError, TypeError, ValueError):
            raise DataError(
                f"{self._path}: the entry of {name} is damaged", "remove that entry"
            ) from None

    def put(self, name: str, known: Known) -> None:
        """Note a file, in the place of what was noted about it before."""
        write_json(self._path, {**self._read(), name: asdict(known)})

    def _read(self) -> dict[str, Any]:
        content = read_json(self._path) if self._path.exists() else {}
        if not isinstance(content, dict) or not all(
            isinstance(one, dict) for one in content.values()
        ):
            raise DataError(f"{self._path}: not the notes of a download", "move the file away")
        return content


def measure(path: Path, url: str, *, name: str, progress: bool = False) -> Known:
    """Read a file to its end for its size and digest.

    Args:
        path: The file.
        url: Where it came from.
        name: What to call it beside the bar.
        progress: Draw a bar.
    """
    digest, size = hashlib.sha256(), 0
    bar = tqdm(
        total=path.stat().st_size,
        desc=f"SHA-256 of {name}",
        unit="B",
        unit_scale=True,
        disable=not progress,
    )
    with bar, path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            bar.update(len(chunk))
    return Known(size, digest.hexdigest(), url)


def check_same(name: str, found: Known, known: Known, *, noted: bool) -> None:
    """Check that a download is the file that is known.

    Args:
        name: Its path under the root.
        found: What arrived.
        known: What should have.
        noted: Whether ``known`` comes from the notes; else it is published.

    Raises:
        DataError: Size or digest differ.
    """
    if (found.bytes, found.sha256) == (known.bytes, known.sha256):
        return
    whence = f"{NOTES_FILE} notes from its first download" if noted else "is published"
    raise DataError(
        f"{found.url}: the file has {found.bytes} bytes and SHA-256 {found.sha256}, but for {name} "
        f"{whence} {known.bytes} bytes and {known.sha256}",
        "it was damaged on its way, or replaced: it is not kept; run again to fetch it anew, or "
        "`smhash download coco2014 --accept-changed` to take the new one",
    )
