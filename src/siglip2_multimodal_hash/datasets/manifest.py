"""Manifest of a source (``manifest.json``, ``images.parquet``), and comparison of both.

DVC follows these two small files instead of 123,287 images. They hold names, sizes and, where it
costs nothing, checksums; no absolute path and no time, so equal sources give equal bytes on every
machine. ``manifest.json`` carries a digest of the image list, so that the two cannot be mixed up.

The files that a protocol splits by (Karpathy's, HashNet's lists) are listed if they are there; the
protocol knows whether it needs one.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from siglip2_multimodal_hash.datasets.containers import open_container
from siglip2_multimodal_hash.datasets.layout import layout_of
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import file_sha256, read_json, replacing
from siglip2_multimodal_hash.params import DatasetKind

MANIFEST_FILE = "manifest.json"
IMAGES_FILE = "images.parquet"

_SCHEMA = pa.schema(
    [
        pa.field("file_name", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("crc32", pa.uint32()),
    ]
)
# DVC asks in every run what a source outside the repository is, see runtime.watch.
RERUN = "run `dvc repro`"
_SHOWN = 5


@dataclass(frozen=True)
class DigestedFile:
    """A file of annotations or of a split: path under the root, size in bytes, SHA-256 in hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ImageEntry:
    """One image file: its size, and its CRC-32 where the source is an archive."""

    bytes: int
    crc32: int | None


@dataclass(frozen=True)
class Manifest:
    """A source.

    Attributes:
        annotations: The annotation files.
        images: The image files, by their names under ``images/``.
        splits: Those of the files to split it by that are there.
    """

    annotations: tuple[DigestedFile, ...]
    images: Mapping[str, ImageEntry]
    splits: tuple[DigestedFile, ...] = ()

    def image_bytes(self) -> dict[str, int]:
        """The size of each image file, by its name under ``images/``."""
        return {name: entry.bytes for name, entry in self.images.items()}

    def description(self) -> dict[str, Any]:
        """JSON that identifies a source; of the images a digest of their list."""
        return {
            "annotations": [asdict(one) for one in self.annotations],
            "images": _summary(self.images),
            "splits": [asdict(one) for one in self.splits],
        }


def describe_source(
    root: Path, output: Path | None = None, kind: DatasetKind = "coco2014"
) -> Manifest:
    """Write the manifest of the source at ``root``: both files, or neither.

    Args:
        root: A folder in the layout of :mod:`.layout`.
        output: The folder to write into; ``root`` itself where it is not given.
        kind: ``dataset.kind``.

    Raises:
        DataError: Pieces are missing or unreadable; then nothing is written.
    """
    manifest = scan_source(root, kind=kind)
    write_manifest(output or root, manifest)
    return manifest


def scan_source(
    root: Path,
    sha256: Callable[[Path], str] = file_sha256,
    *,
    kind: DatasetKind = "coco2014",
) -> Manifest:
    """List the image files in one pass, opening none, and digest the other files.

    Args:
        root: A folder in the layout of :mod:`.layout`.
        sha256: Of a file, in hex.
        kind: ``dataset.kind``.

    Raises:
        DataError: Pieces are missing or unreadable.
    """
    layout = layout_of(kind)
    annotations = tuple(digest_file(root, path, sha256) for path in layout.annotations(root))
    splits = tuple(digest_file(root, path, sha256) for path in layout.splits(root))
    return Manifest(annotations, list_images(layout.images(root)), splits)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` and ``images.parquet`` into ``folder``."""
    names = sorted(manifest.images)
    entries = [manifest.images[name] for name in names]
    table = pa.table(
        [names, [entry.bytes for entry in entries], [entry.crc32 for entry in entries]],
        schema=_SCHEMA,
    )
    text = json.dumps(manifest.description(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    # Both are complete before either takes its place.
    with replacing(folder / MANIFEST_FILE) as outer, replacing(folder / IMAGES_FILE) as inner:
        pq.write_table(table, inner, compression="zstd")
        outer.write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read what :func:`write_manifest` wrote.

    Raises:
        DataError: A file is missing or damaged, or the two do not belong together.
    """
    path = folder / MANIFEST_FILE
    content = read_json(path)
    try:
        annotations, splits = (
            tuple(DigestedFile(**one) for one in content[key]) for key in ("annotations", "splits")
        )
        summary = content["images"]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not a manifest ({error})", RERUN) from None
    images = read_images(folder / IMAGES_FILE)
    if _summary(images) != summary:
        raise DataError(f"{folder}: {MANIFEST_FILE} and {IMAGES_FILE} do not match", RERUN)
    return Manifest(annotations, images, splits)


def digest_file(
    root: Path, path: Path, sha256: Callable[[Path], str] = file_sha256
) -> DigestedFile:
    """Size and SHA-256 of one file under ``root``.

    Raises:
        DataError: It cannot be read.
    """
    try:
        digest, size = sha256(path), path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "check the file") from None
    return DigestedFile(path.relative_to(root).as_posix(), size, digest)


def list_images(containers: Mapping[str, Path]) -> dict[str, ImageEntry]:
    """The image files of folders or archives, by their names under ``images/``; none is opened.

    Args:
        containers: The folder or archive of each folder of images.

    Raises:
        DataError: One cannot be read, is an archive without images, or holds an unsafe name.
    """
    return {
        f"{folder}/{file.name}".removeprefix("/"): ImageEntry(file.size, file.crc32)
        for folder, path in sorted(containers.items())
        for file in open_container(path, folder, containers.get("")).files()
    }


def verify_images(
    root: Path, images: Mapping[str, ImageEntry], kind: DatasetKind = "coco2014"
) -> None:
    """Compare the images of a source with those of its manifest, as :func:`verify_source` does.

    Args:
        root: The source.
        images: Of the manifest, by their names.
        kind: ``dataset.kind``.

    Raises:
        DataError: They differ; the message counts the differences and names the first few.
    """
    _refuse(root, _image_differences(layout_of(kind).images(root), images))


def verify_source(
    root: Path,
    manifest: Manifest,
    *,
    kind: DatasetKind = "coco2014",
    digests: bool = False,
) -> None:
    """Compare a source with its manifest: names and sizes, and CRC-32 where both sides know it.

    A folder and an archive of the same images both pass.

    Args:
        root: The source.
        manifest: Its expected content.
        kind: ``dataset.kind``.
        digests: Compare the SHA-256 of the annotation files too (800 MB to read for COCO 2014).

    Raises:
        DataError: They differ; the message counts the differences and names the first few.
    """
    layout = layout_of(kind)
    layout.annotations(root)
    differences: list[str] = []
    for known in manifest.annotations:
        path = root / known.path
        size = path.stat().st_size if path.is_file() else None
        if size != known.bytes:
            differences.append(_size_difference(known.path, size, known.bytes))
        elif digests and digest_file(root, path) != known:
            differences.append(f"{known.path}: other content")
    _refuse(root, differences + _image_differences(layout.images(root), manifest.images))


def _image_differences(
    containers: Mapping[str, Path], expected: Mapping[str, ImageEntry]
) -> list[str]:
    images = list_images(containers)
    differences = []
    for name in sorted(images.keys() | expected.keys()):
        one, other = images.get(name), expected.get(name)
        if _size(one) != _size(other):
            differences.append(_size_difference(name, _size(one), _size(other)))
        elif _other_content(one, other):
            differences.append(f"{name}: other content")
    return differences


def _refuse(root: Path, differences: list[str]) -> None:
    if differences:
        raise DataError(
            f"{root}: {len(differences)} difference(s) from its manifest:{_some(differences)}",
            f"restore the files, or {RERUN} if the change is intended",
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
            "complete the folder, or remove it and leave the archive that it is of in its place; "
            f"then {RERUN}",
        )


def read_images(path: Path) -> dict[str, ImageEntry]:
    """Read the list of images alone.

    Raises:
        DataError: It is missing or damaged.
    """
    try:
        table = pq.ParquetFile(path).read()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", RERUN) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})", RERUN) from None
    if not table.schema.equals(_SCHEMA):
        raise DataError(
            f"{path}: columns {table.schema.names} instead of {_SCHEMA.names}, or other types",
            RERUN,
        )
    columns = (table.column(name).to_pylist() for name in _SCHEMA.names)
    return {name: ImageEntry(size, crc32) for name, size, crc32 in zip(*columns, strict=True)}


def _summary(images: Mapping[str, ImageEntry]) -> dict[str, int | str]:
    """Count, total size, and a digest that does not depend on how Parquet encodes the list."""
    lines = (f"{name}\t{images[name].bytes}\t{images[name].crc32}\n" for name in sorted(images))
    return {
        "count": len(images),
        "bytes": sum(entry.bytes for entry in images.values()),
        "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }


def _size(entry: ImageEntry | None) -> int | None:
    return None if entry is None else entry.bytes


def _other_content(found: ImageEntry | None, expected: ImageEntry | None) -> bool:
    """Test whether two checksums differ; a folder has none."""
    checksums = {entry.crc32 for entry in (found, expected) if entry is not None}
    return len(checksums - {None}) > 1


def _size_difference(name: str, found: int | None, expected: int | None) -> str:
    if found is None:
        return f"{name}: missing"
    if expected is None:
        return f"{name}: not in the manifest"
    return f"{name}: {found} bytes instead of {expected}"


def _some(lines: list[str]) -> str:
    shown = "".join(f"\n     {line}" for line in lines[:_SHOWN])
    more = len(lines) - _SHOWN
    return shown + (f"\n     and {more} more" if more > 0 else "")
