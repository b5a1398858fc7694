"""Compare a source with its manifest, and the manifest with what the annotations name."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from siglip2_multimodal_hash.datasets.layout import find_layout
from siglip2_multimodal_hash.datasets.manifest import (
    RERUN,
    ImageEntry,
    Manifest,
    digest_file,
    list_images,
)
from siglip2_multimodal_hash.errors import DataError

SHOWN = 5


def verify_source(root: Path, manifest: Manifest, *, digests: bool = False) -> None:
    """Compare a source with its manifest: names and sizes, and CRC-32 where both sides know it.

    A folder and an archive of the same images both pass.

    Args:
        root: The source.
        manifest: What it should consist of.
        digests: Compare the SHA-256 of the annotation files too (800 MB to read for COCO 2014).

    Raises:
        DataError: They differ; the message counts the differences and names the first few.
    """
    layout = find_layout(root)
    differences: list[str] = []
    for known in manifest.annotations:
        path = root / known.path
        size = path.stat().st_size if path.is_file() else None
        if size != known.bytes:
            differences.append(_size_difference(known.path, size, known.bytes))
        elif digests and digest_file(root, path) != known:
            differences.append(f"{known.path}: other content")
    images = list_images(layout.images)
    for name in sorted(images.keys() | manifest.images.keys()):
        found, expected = images.get(name), manifest.images.get(name)
        if _size(found) != _size(expected):
            differences.append(_size_difference(name, _size(found), _size(expected)))
        elif _other_content(found, expected):
            differences.append(f"{name}: other content")
    if differences:
        raise DataError(
            f"{root}: {len(differences)} difference(s) from its manifest:{_some(differences)}",
            f"restore the files, or {RERUN} if the change is meant",
        )


def check_images_present(file_names: Iterable[str], images: Mapping[str, object]) -> None:
    """Check that every image that the annotations name is among those of the manifest.

    Args:
        file_names: Names under ``images/``.
        images: A mapping whose keys are the names that are there.

    Raises:
        DataError: Some are not; the message counts them and names the first five.
    """
    missing = sorted(name for name in file_names if name not in images)
    if missing:
        raise DataError(
            f"{len(missing)} image(s) that the annotations name are missing:{_some(missing)}",
            "complete the folder (unpack the archive again), or remove it and leave the official "
            f"archive in its place; then {RERUN}",
        )


def _size(entry: ImageEntry | None) -> int | None:
    return None if entry is None else entry.bytes


def _other_content(found: ImageEntry | None, expected: ImageEntry | None) -> bool:
    """Whether two checksums differ; a folder has none."""
    checksums = {entry.crc32 for entry in (found, expected) if entry is not None}
    return len(checksums - {None}) > 1


def _size_difference(name: str, found: int | None, expected: int | None) -> str:
    if found is None:
        return f"{name}: missing"
    if expected is None:
        return f"{name}: not in the manifest"
    return f"{name}: {found} bytes instead of {expected}"


def _some(lines: list[str]) -> str:
    shown = "".join(f"\n     {line}" for line in lines[:SHOWN])
    more = len(lines) - SHOWN
    return shown + (f"\n     and {more} more" if more > 0 else "")
