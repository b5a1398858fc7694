"""The manifest of a source: deterministic, small, and quick to compare with."""

import json
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from siglip2_multimodal_hash.datasets.manifest import (
    Manifest,
    check_images_present,
    describe_source,
    read_manifest,
    scan_source,
    verify_source,
    write_manifest,
)
from siglip2_multimodal_hash.errors import DataError

FILES = ("manifest.json", "images.parquet")
FIRST = "train2014/COCO_train2014_000000000010.jpg"


def test_holds_names_sizes_and_digests(tiny: Any, tiny_root: Path, tmp_path: Path) -> None:
    written = describe_source(tiny_root, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "manifest.json").read_text())
    path = tiny_root / "annotations" / "captions_train2014.json"
    assert content["annotations"][0] == {
        "path": "annotations/captions_train2014.json",
        "bytes": path.stat().st_size,
        "sha256": sha256(path.read_bytes()).hexdigest(),
    }
    assert content["images"]["count"] == 10
    assert content["images"]["bytes"] == sum(written.image_bytes().values())
    (split,) = content["splits"]
    assert split["path"] == "karpathy_split.json"
    assert split["sha256"] == sha256((tiny_root / split["path"]).read_bytes()).hexdigest()
    rows = pq.read_table(tmp_path / "out" / "images.parquet").to_pylist()
    assert [row["file_name"] for row in rows] == sorted(written.images)
    assert rows[0] == {"file_name": FIRST, "bytes": len(tiny.jpeg(10)), "crc32": None}
    assert read_manifest(tmp_path / "out") == written


@pytest.mark.parametrize("container", ["folder", "zip"])
def test_equal_sources_give_equal_bytes_wherever_they_lie(
    new_tiny: Callable[[], Any], tmp_path: Path, container: str
) -> None:
    for name in ("first", "second"):
        root = new_tiny().write(tmp_path / name, container)
        describe_source(root, tmp_path / f"{name}-out")
    for name in FILES:
        data = (tmp_path / "first-out" / name).read_bytes()
        assert data == (tmp_path / "second-out" / name).read_bytes()
        assert str(tmp_path).encode() not in data


def test_is_written_beside_the_source_by_default(tiny: Any, tmp_path: Path) -> None:
    root = tiny.write(tmp_path, "zip")
    first = describe_source(root)
    assert all((root / name).is_file() for name in FILES)
    # Its own files are no part of the source.
    assert describe_source(root) == first
    assert all(entry.crc32 is not None for entry in first.images.values())


def test_nothing_is_written_where_the_source_is_incomplete(tiny_root: Path, tmp_path: Path) -> None:
    (tiny_root / "annotations" / "instances_val2014.json").unlink()
    with pytest.raises(DataError, match=r"annotations/instances_val2014\.json"):
        describe_source(tiny_root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_both_files_or_neither(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    describe_source(tiny_root, out)
    before = {name: (out / name).read_bytes() for name in FILES}
    (tiny_root / "images" / FIRST).write_bytes(b"changed")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(pq, "write_table", full_disk)
    with pytest.raises(OSError, match="no space left"):
        describe_source(tiny_root, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_folder_passes_for_its_archive_and_back(
    new_tiny: Callable[[], Any], tmp_path: Path
) -> None:
    folder = new_tiny().write(tmp_path / "folder")
    archive = new_tiny().write(tmp_path / "archive", "root_zip")
    verify_source(folder, scan_source(archive), digests=True)
    verify_source(archive, scan_source(folder), digests=True)
    verify_source(archive, scan_source(archive))


def test_differences_are_counted_and_the_first_are_named(tiny: Any, tiny_root: Path) -> None:
    expected = scan_source(tiny_root)
    folder = tiny_root / "images" / "val2014"
    (folder / tiny.name("val2014", 20)).unlink()
    (folder / tiny.name("val2014", 40)).write_bytes(b"1234")
    (folder / "extra.jpg").write_bytes(b"1")
    with pytest.raises(DataError) as caught:
        verify_source(tiny_root, expected)
    message = str(caught.value)
    for part in (
        f"{tiny_root}: 3 difference(s) from its manifest:",
        "val2014/COCO_val2014_000000000020.jpg: missing",
        f"val2014/COCO_val2014_000000000040.jpg: 4 bytes instead of {len(tiny.jpeg(40))}",
        "val2014/extra.jpg: not in the manifest",
        "`dvc repro`",
    ):
        assert part in message
    for path in list(folder.iterdir()):
        path.rename(folder / f"other_{path.name}")
    with pytest.raises(DataError, match=r"12 difference\(s\)(.*\n)+     and 7 more"):
        verify_source(tiny_root, expected)


def test_changed_annotations_are_named(tiny_root: Path) -> None:
    expected = scan_source(tiny_root)
    path = tiny_root / "annotations" / "captions_val2014.json"
    path.write_bytes(path.read_bytes().replace(b"1 of 20", b"3 of 20"))
    verify_source(tiny_root, expected)
    with pytest.raises(DataError, match=r"annotations/captions_val2014\.json: other content"):
        verify_source(tiny_root, expected, digests=True)
    path.write_bytes(b"{}")
    with pytest.raises(DataError, match=r"captions_val2014\.json: 2 bytes instead of \d+"):
        verify_source(tiny_root, expected)


def test_an_archive_betrays_changed_content_of_equal_size(tiny: Any, tmp_path: Path) -> None:
    root = tiny.write(tmp_path, "zip")
    expected = scan_source(root)
    path = root / "images" / "train2014.zip"
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    files[FIRST] = files[FIRST][:-1] + b"\0"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(DataError, match=f"{FIRST}: other content"):
        verify_source(root, expected)


def test_lists_of_a_protocol_are_described_where_they_are_there(
    tiny_root: Path, tmp_path: Path
) -> None:
    (tiny_root / "karpathy_split.json").unlink()
    assert scan_source(tiny_root).splits == ()
    (tiny_root / "hashnet").mkdir()
    (tiny_root / "hashnet" / "test.txt").write_text("val2014/a.jpg 0 1\n")
    (found,) = scan_source(tiny_root).splits
    assert (found.path, found.bytes) == ("hashnet/test.txt", 18)
    assert describe_source(tiny_root, tmp_path).splits == read_manifest(tmp_path).splits == (found,)
    before = (tmp_path / "manifest.json").read_bytes()
    (tiny_root / "hashnet" / "test.txt").write_text("val2014/b.jpg 0 1\n")
    describe_source(tiny_root, tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() != before


def test_missing_images_are_counted_and_five_named() -> None:
    present = {f"val2014/{number}.jpg": 1 for number in range(3)}
    check_images_present(present, present)
    named = [f"val2014/{number}.jpg" for number in (9, 8, 7, 6, 5, 4, 3, 2)]
    with pytest.raises(DataError) as caught:
        check_images_present(named, present)
    message = str(caught.value)
    assert "7 image(s) that the annotations name are missing:" in message
    assert [line.strip() for line in message.splitlines()[1:7]] == [
        *(f"val2014/{number}.jpg" for number in (3, 4, 5, 6, 7)),
        "and 2 more",
    ]


def test_damaged_manifests_are_named(tiny_root: Path, tmp_path: Path) -> None:
    describe_source(tiny_root, tmp_path)

    def refused(expected: str) -> None:
        with pytest.raises(DataError, match=expected) as caught:
            read_manifest(tmp_path)
        assert str(tmp_path) in str(caught.value)

    good = (tmp_path / "images.parquet").read_bytes()
    pq.write_table(pa.table({"file_name": ["a"], "bytes": [1]}), tmp_path / "images.parquet")
    refused(r"images\.parquet: columns \['file_name', 'bytes'\] instead of")
    (tmp_path / "images.parquet").write_bytes(good[:-10])
    refused(r"images\.parquet: not a readable Parquet file")
    (tmp_path / "images.parquet").unlink()
    refused(r"images\.parquet: no such file")
    (tmp_path / "manifest.json").write_text('{"annotations": [{"path": 1}]}')
    refused(r"manifest\.json: not a manifest")
    (tmp_path / "manifest.json").write_text("[")
    refused(r"manifest\.json: not valid JSON")
    (tmp_path / "manifest.json").unlink()
    refused(r"manifest\.json: no such file")


def test_the_two_files_belong_together(tiny_root: Path, tmp_path: Path) -> None:
    first = describe_source(tiny_root, tmp_path / "a")
    images = dict(first.images)
    images.pop(FIRST)
    write_manifest(tmp_path / "b", Manifest(first.annotations, images))
    shutil.copy(tmp_path / "b" / "images.parquet", tmp_path / "a" / "images.parquet")
    with pytest.raises(DataError, match=r"manifest\.json and images\.parquet do not match"):
        read_manifest(tmp_path / "a")
