"""Unpacking by exact names, and what damaged or hostile archives lead to."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.datasets.acquisition.archives import (
    check_images,
    check_members,
    unpack,
)
from siglip2_multimodal_hash.errors import DataError

FIRST, SECOND = b"1" * 5000, b"2" * 7000
NAMES = ("annotations/first.json", "annotations/second.json")


def _archive(path: Path, **more: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations/first.json", FIRST)
        archive.writestr("annotations/second.json", SECOND)
        archive.writestr("annotations/unused.json", b"0")
        for name, data in more.items():
            archive.writestr(name, data)
    return path


def _nothing_under(root: Path) -> bool:
    return not root.exists() or not [path for path in root.rglob("*") if path.is_file()]


def test_unpacks_only_what_was_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "root"
    unpack(_archive(tmp_path / "a.zip"), NAMES, root)
    assert {path.name: path.read_bytes() for path in (root / "annotations").iterdir()} == {
        "first.json": FIRST,
        "second.json": SECOND,
    }


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil"])
def test_a_member_that_leads_out_is_refused_though_nobody_asked(tmp_path: Path, name: str) -> None:
    archive = _archive(tmp_path / "a.zip", **{name: b"evil"})
    root = tmp_path / "deep" / "root"
    with pytest.raises(DataError, match="leads out of the archive"):
        unpack(archive, NAMES, root)
    assert _nothing_under(tmp_path / "deep")


def test_a_missing_or_doubled_member_is_named(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.zip")
    with pytest.raises(DataError, match=r"member annotations/third\.json is not there"):
        unpack(archive, (*NAMES, "annotations/third.json"), tmp_path)
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(archive, "a") as opened,
    ):
        opened.writestr("annotations/first.json", b"another")
    with pytest.raises(DataError, match=r"first\.json is twice there"):
        check_members(archive, NAMES)
    assert not (tmp_path / "annotations").exists()


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.zip")
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"a\.zip: not a readable zip archive"):
        unpack(archive, NAMES, tmp_path / "root")
    with pytest.raises(DataError, match="no such file"):
        unpack(tmp_path / "b.zip", (), tmp_path)
    assert _nothing_under(tmp_path / "root")


def test_a_corrupt_directory_is_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.zip")
    data = archive.read_bytes()
    archive.write_bytes(data.replace(b"PK\x01\x02", b"PK\x01\x03"))
    with pytest.raises(DataError, match="not a readable zip archive"):
        unpack(archive, NAMES, tmp_path / "root")
    # A directory that is whole but names other members than the data does.
    at = data.rindex(b"annotations/first.json")
    archive.write_bytes(data[:at] + b"annotations/worst.json" + data[at + 22 :])
    with pytest.raises(DataError, match=r"worst\.json: cannot be read"):
        unpack(archive, ["annotations/worst.json"], tmp_path / "root")
    assert _nothing_under(tmp_path / "root")


def test_a_member_with_changed_bytes_leaves_all_as_it_was(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:  # stored: the bytes can be found
        opened.writestr("annotations/first.json", FIRST)
        opened.writestr("annotations/second.json", SECOND)
    archive.write_bytes(archive.read_bytes().replace(b"2222", b"2223", 1))
    folder = tmp_path / "root" / "annotations"
    folder.mkdir(parents=True)
    (folder / "first.json").write_bytes(b"before")
    with pytest.raises(DataError, match=r"second\.json: cannot be read \(Bad CRC-32"):
        unpack(archive, NAMES, tmp_path / "root")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"first.json": b"before"}


def test_the_disk_is_asked_first(tmp_path: Path, leave_free: Callable[[int], None]) -> None:
    archive = _archive(tmp_path / "a.zip")
    leave_free(11_999)
    with pytest.raises(DataError, match=r"unpacking a\.zip needs 11\.7 KiB and the disk has 11\.7"):
        unpack(archive, NAMES, tmp_path / "root")
    assert _nothing_under(tmp_path / "root")
    leave_free(12_000)
    unpack(archive, NAMES, tmp_path / "root")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_fills_up_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = _archive(tmp_path / "a.zip")
    real_open = Path.open

    def opened(path: Path, *args: Any, **more: Any) -> Any:
        full = path.parent.name.startswith(".second.json")
        return real_open(Path("/dev/full") if full else path, *args, **more)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(OSError, match="No space left"):
        unpack(archive, NAMES, tmp_path / "root")
    assert _nothing_under(tmp_path / "root")


def test_images_are_checked_by_directory_or_to_the_last_byte(tiny: Any, tmp_path: Path) -> None:
    root = tiny.write(tmp_path, "zip")
    archive = root / "images" / "val2014.zip"
    check_images(archive, "val2014", read=True)
    with pytest.raises(DataError, match="no image under train2014/"):
        check_images(archive, "train2014")
    data = tiny.jpeg(90)
    archive.write_bytes(archive.read_bytes().replace(data, data[:-1] + b"\0"))
    check_images(archive, "val2014")
    with pytest.raises(DataError, match=r"000000000090\.jpg: cannot be read \(Bad CRC-32"):
        check_images(archive, "val2014", read=True)
