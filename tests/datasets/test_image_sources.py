"""Images by name, from folders and archives: the same bytes, and a named error for each defect."""

import multiprocessing
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.containers import (
    MAX_FILE_BYTES,
    FolderContainer,
    ZipContainer,
)
from siglip2_multimodal_hash.datasets.images import ContainedImages, open_image_source
from siglip2_multimodal_hash.errors import DataError

NAMES = [
    "train2014/COCO_train2014_000000000010.jpg",
    "val2014/COCO_val2014_000000000020.jpg",
    "val2014/COCO_val2014_000000000100.jpg",
]
MEMBER = "val2014/COCO_val2014_000000000020.jpg"


def digest_all(source: ContainedImages) -> list[bytes]:
    return [source.open(name).tobytes() for name in NAMES]


@pytest.fixture
def zip_root(tiny: Any, tmp_path: Path) -> Path:
    root: Path = tiny.write(tmp_path / "zipped", "zip")
    return root


def test_folder_and_archives_give_the_same_bytes_and_pixels(
    new_tiny: Callable[[], Any], tmp_path: Path
) -> None:
    sources = [
        open_image_source(new_tiny().write(tmp_path / container, container))
        for container in ("folder", "zip", "root_zip")
    ]
    for name in NAMES:
        expected = new_tiny().jpeg(int(name[-16:-4]))
        assert [source.read(name) for source in sources] == [expected] * 3
        pixels = [np.asarray(source.open(name)) for source in sources]
        assert pixels[0].shape == (6, 8, 3)
        assert all(np.array_equal(pixels[0], one) for one in pixels[1:])


@pytest.mark.parametrize("container", ["folder", "zip"])
def test_a_used_source_survives_pickling(tiny: Any, tmp_path: Path, container: str) -> None:
    source = open_image_source(tiny.write(tmp_path, container))
    expected = digest_all(source)
    copy = pickle.loads(pickle.dumps(source))
    assert digest_all(copy) == expected
    assert digest_all(source) == expected


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_used_source_works_in_child_processes(zip_root: Path, method: str) -> None:
    source = open_image_source(zip_root)
    expected = digest_all(source)
    with multiprocessing.get_context(method).Pool(2) as pool:
        reads = [pool.apply_async(source.read, (NAMES[step % 3],)) for step in range(60)]
        found = [read.get(timeout=60) for read in reads]
    assert found == [source.read(NAMES[step % 3]) for step in range(60)]
    assert digest_all(source) == expected


@pytest.mark.parametrize("container", ["folder", "zip"])
def test_an_unsafe_name_is_refused(tiny: Any, tmp_path: Path, container: str) -> None:
    source = open_image_source(tiny.write(tmp_path, container))
    (tmp_path / "images" / "secret.jpg").write_bytes(tiny.jpeg(1))
    for name in ("val2014/../secret.jpg", "../secret.jpg", str(tmp_path / "images/secret.jpg")):
        with pytest.raises(DataError, match="plus a plain file name"):
            source.read(name)


def test_a_file_in_a_folder_is_located(tiny_root: Path) -> None:
    source = open_image_source(tiny_root)
    assert source.locate(MEMBER) == tiny_root / "images" / MEMBER
    assert source.locate("val2014/absent.jpg") == tiny_root / "images/val2014/absent.jpg"
    for name in ("val2014/../secret.jpg", "../secret.jpg", str(tiny_root / "images" / MEMBER)):
        with pytest.raises(DataError, match="plus a plain file name"):
            source.locate(name)


def test_a_link_is_located_unless_it_leads_out(tiny_root: Path) -> None:
    folder = tiny_root / "images" / "val2014"
    for name, target in (("inside", Path(MEMBER).name), ("gone", "absent.jpg"), ("loop", "loop")):
        (folder / name).symlink_to(target)
        assert open_image_source(tiny_root).locate(f"val2014/{name}") == folder / name
    (folder / "leak.jpg").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match=r"leak\.jpg: a link that leads out"):
        open_image_source(tiny_root).locate("val2014/leak.jpg")


@pytest.mark.parametrize("container", ["zip", "root_zip"])
def test_a_file_in_an_archive_has_no_path(tiny: Any, tmp_path: Path, container: str) -> None:
    source = open_image_source(tiny.write(tmp_path, container))
    with pytest.raises(DataError, match=r"val2014\.zip: an archive") as caught:
        source.locate(MEMBER)
    assert "or set report.link_images: false" in str(caught.value)
    with pytest.raises(DataError, match="plus a plain file name"):
        source.locate("../secret.jpg")


def test_a_missing_file_is_named(tiny_root: Path, zip_root: Path) -> None:
    with pytest.raises(DataError, match=r"val2014/absent\.jpg: no such file\n.*unpack the archive"):
        open_image_source(tiny_root).open("val2014/absent.jpg")
    with pytest.raises(DataError, match=r"val2014\.zip: no member val2014/absent\.jpg"):
        open_image_source(zip_root).open("val2014/absent.jpg")


def test_a_name_that_cannot_be_opened_is_named(tiny_root: Path) -> None:
    folder = tiny_root / "images" / "val2014"
    (folder / "folder.jpg").mkdir()
    (folder / "loop.jpg").symlink_to("loop.jpg")
    source = open_image_source(tiny_root)
    for name in ("folder.jpg", "loop.jpg", "x" * 300 + ".jpg"):
        with pytest.raises(DataError, match=rf"{name}: cannot be read \("):
            source.read(f"val2014/{name}")


def test_no_folder_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 piece") as caught:
        open_image_source(tmp_path)
    assert "images/val2014/ or images/val2014.zip" in str(caught.value)


def test_a_truncated_file_is_named(tiny_root: Path) -> None:
    path = tiny_root / "images" / MEMBER
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="truncated") as caught:
        open_image_source(tiny_root).open(MEMBER)
    assert MEMBER in str(caught.value)
    assert "fetch it again" in str(caught.value)


def test_a_link_may_stay_inside_but_not_lead_out(tiny_root: Path, tmp_path: Path) -> None:
    folder = tiny_root / "images" / "val2014"
    outside = tmp_path / "outside.jpg"
    outside.write_bytes((tiny_root / "images" / MEMBER).read_bytes())
    (folder / "inside.jpg").symlink_to(folder / Path(MEMBER).name)
    source = open_image_source(tiny_root)
    assert source.read("val2014/inside.jpg") == source.read(MEMBER)
    (folder / "leak.jpg").symlink_to("../../../outside.jpg")
    with pytest.raises(
        DataError, match=r"leak\.jpg: a link that leads out of its folder"
    ) as caught:
        source.read("val2014/leak.jpg")
    assert str(outside) in str(caught.value)
    with pytest.raises(DataError, match=r"leak\.jpg: a link that leads out"):
        FolderContainer(folder).files()


def test_the_folder_itself_may_be_a_link(tiny_root: Path, tmp_path: Path) -> None:
    folder = tiny_root / "images" / "val2014"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert open_image_source(tiny_root).open(MEMBER).size == (8, 6)
    assert len(FolderContainer(folder).files()) == 6


def test_lists_images_only_and_sorted(tiny_root: Path) -> None:
    folder = tiny_root / "images" / "val2014"
    for name in (".DS_Store", "._COCO_val2014_000000000020.jpg", "README.txt"):
        (folder / name).touch()
    (folder / "thumbnails.jpg").mkdir()
    files = FolderContainer(folder).files()
    assert [file.name for file in files] == sorted(
        f"COCO_val2014_{image_id:012d}.jpg" for image_id in (20, 40, 60, 80, 90, 100)
    )
    assert files[0].size == (folder / files[0].name).stat().st_size
    assert files[0].crc32 is None


def test_an_archive_lists_the_same_with_checksums(tiny_root: Path, zip_root: Path) -> None:
    folder = FolderContainer(tiny_root / "images" / "val2014").files()
    archive_file = zip_root / "images" / "val2014.zip"
    with zipfile.ZipFile(archive_file, "a") as archive:
        for name in ("__MACOSX/val2014/._x.jpg", "val2014/._x.jpg", "train2014/x.jpg", "x.jpg"):
            archive.writestr(name, b"x")
    files = ZipContainer(archive_file, "val2014").files()
    assert [file[:2] for file in files] == [file[:2] for file in folder]
    assert all(file.crc32 is not None for file in files)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("val2014/a/../../x.jpg", "'a/../../x.jpg' is not a plain file name"),
        ("val2014/C:x.jpg", "'C:x.jpg' is not a plain file name"),
        (MEMBER, f"member {MEMBER} occurs twice"),
    ],
)
def test_an_unsafe_or_ambiguous_archive_is_refused(
    zip_root: Path, member: str, expected: str
) -> None:
    path = zip_root / "images" / "val2014.zip"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"x")
    with pytest.raises(DataError) as caught:
        ZipContainer(path, "val2014").files()
    assert f"{path}: " in str(caught.value)
    assert expected in str(caught.value)


def test_containers_without_images_are_named(tmp_path: Path) -> None:
    path = tmp_path / "val2014.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train2014/x.jpg", b"x")
    with pytest.raises(DataError, match=r"val2014\.zip: no image under val2014/ in the archive"):
        ZipContainer(path, "val2014").files()
    with pytest.raises(DataError, match="nowhere: cannot be listed"):
        FolderContainer(tmp_path / "nowhere").files()


def test_an_incomplete_download_is_named(zip_root: Path) -> None:
    path = zip_root / "images" / "val2014.zip"
    path.write_bytes(path.read_bytes()[:-30])
    source = open_image_source(zip_root)
    with pytest.raises(DataError, match=r"val2014\.zip: not a readable zip.*\n.*fetch it again"):
        source.read(MEMBER)
    path.unlink()
    with pytest.raises(DataError, match=r"val2014\.zip: no such file"):
        source.read(MEMBER)


def test_a_damaged_or_encrypted_member_is_named(zip_root: Path) -> None:
    path = zip_root / "images" / "val2014.zip"
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(MEMBER)
    data = bytearray(path.read_bytes())
    data[info.header_offset + 30 + len(MEMBER) + 200] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"val2014\.zip: {MEMBER}: cannot be read \(Bad CRC-32"):
        open_image_source(zip_root).read(MEMBER)
    entry = data.index(MEMBER.encode(), data.index(b"PK\x01\x02")) - 46
    data[entry + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be read \(.*encrypted"):
        open_image_source(zip_root).read(MEMBER)
    with pytest.raises(DataError, match=f"member {MEMBER} is encrypted"):
        ZipContainer(path, "val2014").files()


def test_a_file_larger_than_any_image_is_not_read(tiny_root: Path, zip_root: Path) -> None:
    size = MAX_FILE_BYTES + 1
    with (tiny_root / "images" / MEMBER).open("r+b") as stream:
        stream.truncate(size)
    path = zip_root / "images" / "val2014.zip"
    data = bytearray(path.read_bytes())
    entry = data.index(MEMBER.encode(), data.index(b"PK\x01\x02")) - 46
    data[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    path.write_bytes(data)
    for root in (tiny_root, zip_root):
        with pytest.raises(DataError, match=rf"{MEMBER}: {size} bytes, above the limit of"):
            open_image_source(root).read(MEMBER)
