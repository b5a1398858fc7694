"""A tiny COCO 2014 that comes from a server on a real socket, or from a local mirror."""

import io
import json
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from siglip2_multimodal_hash.datasets.acquisition.coco import Acquisition
from siglip2_multimodal_hash.datasets.acquisition.disk import readable
from siglip2_multimodal_hash.datasets.acquisition.pieces import COCO, HASHNET, PUBLISHED
from siglip2_multimodal_hash.datasets.layout import find_layout, find_split
from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import DownloadParams, load_params
from tests.datasets.acquisition.web import Answer, Server

KEYS = {
    "train_images": "train2014.zip",
    "val_images": "val2014.zip",
    "annotations": "annotations_trainval2014.zip",
    "karpathy_split": "caption_datasets.zip",
}
LIST = b"/x/val2014/COCO_val2014_000000000020.jpg 0 1 0\n"


def _zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _archives(source: Path) -> dict[str, bytes]:
    """The four official archives of the tiny COCO that lies at ``source``, images in zips."""
    annotations = sorted((source / "annotations").iterdir())
    return {
        "train2014.zip": (source / "images/train2014.zip").read_bytes(),
        "val2014.zip": (source / "images/val2014.zip").read_bytes(),
        "annotations_trainval2014.zip": _zip(
            {f"annotations/{path.name}": path.read_bytes() for path in annotations}
            | {"annotations/person_keypoints_val2014.json": b"{}"}
        ),
        "caption_datasets.zip": _zip(
            {
                "dataset_coco.json": (source / "karpathy_split.json").read_bytes(),
                "dataset_flickr8k.json": b"{}",
            }
        ),
    }


@pytest.fixture
def source(tiny: Any, tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "source", "zip")


@pytest.fixture
def served(server: Server, source: Path) -> DownloadParams:
    for name, data in _archives(source).items():
        server.add(name, data)
    return _params(**{key: server.url(name) for key, name in KEYS.items()})


def _params(**addresses: Any) -> DownloadParams:
    real = load_params(Path(__file__).resolve().parents[3] / "params.yaml").runtime.download
    return real.model_copy(update={"attempts": 1, "timeout": 5.0, **addresses})


def _acquire(root: Path, download: DownloadParams, **more: Any) -> list[str]:
    fetched = Acquisition(root, download, progress=False, **more).fetch(COCO)
    return [piece.path for piece in fetched]


def _plenty(_: Path) -> int:
    return 2**40


def test_all_pieces_come_and_are_not_fetched_again(
    server: Server, served: DownloadParams, source: Path, tmp_path: Path, caplog: Any
) -> None:
    root = tmp_path / "root"
    caplog.set_level("INFO", "siglip2_multimodal_hash")
    assert len(_acquire(root, served)) == 4
    assert "4 piece(s) missing" in caplog.messages[0]
    layout = find_layout(root, split=True)
    assert layout.images["val2014"] == root / "images" / "val2014.zip"
    assert find_split(root).read_bytes() == (source / "karpathy_split.json").read_bytes()
    assert describe_source(root, tmp_path / "a") == describe_source(source, tmp_path / "b")
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*")) == [
        "annotations/captions_train2014.json",
        "annotations/captions_val2014.json",
        "annotations/instances_train2014.json",
        "annotations/instances_val2014.json",
        "annotations_trainval2014.zip",
        "caption_datasets.zip",
        "dataset_coco.json",
        "downloads.json",
        "images/train2014.zip",
        "images/val2014.zip",
    ]
    assert _acquire(root, served) == []
    assert all(len(file.requests) == 1 for file in server.files.values())


def test_what_is_there_in_another_form_is_not_fetched(
    server: Server, served: DownloadParams, new_tiny: Callable[[], Any], tmp_path: Path
) -> None:
    root = new_tiny().write(tmp_path / "root")
    (root / "annotations" / "captions_val2014.json").unlink()
    archive = server.files["/annotations_trainval2014.zip"].data
    (root / "annotations_trainval2014.zip").write_bytes(archive)
    assert _acquire(root, served) == ["annotations_trainval2014.zip"]
    assert not any(file.requests for file in server.files.values())
    assert (root / "annotations" / "captions_val2014.json").is_file()


def test_the_digest_of_the_first_download_holds_for_the_next(
    server: Server, served: DownloadParams, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    _acquire(root, served)
    file = server.files["/val2014.zip"]
    notes = json.loads((root / "downloads.json").read_text())
    assert notes["images/val2014.zip"]["sha256"] == sha256(file.data).hexdigest()
    (root / "images" / "val2014.zip").unlink()
    # Another archive of equal size: one byte of a file's date.
    file.data = file.data[:10] + bytes([file.data[10] ^ 1]) + file.data[11:]
    file.etag = '"two"'
    with pytest.raises(DataError, match="notes from its first download") as caught:
        _acquire(root, served)
    assert "--accept-changed" in str(caught.value)
    assert sorted(path.name for path in (root / "images").iterdir()) == ["train2014.zip"]
    assert _acquire(root, served, accept_changed=True) == ["images/val2014.zip"]
    (root / "images" / "val2014.zip").unlink()
    assert _acquire(root, served) == ["images/val2014.zip"]
    (root / "images" / "val2014.zip").unlink()
    file.data += b"x"
    with pytest.raises(DataError, match=r"the server has \d+ bytes instead of"):
        _acquire(root, served)


def _truncated(data: bytes) -> bytes:
    return data[:-30]


def _bad_directory(data: bytes) -> bytes:
    return data.replace(b"PK\x01\x02", b"PK\x01\x03")


def _bad_photo(data: bytes) -> bytes:
    at = data.index(b"\xff\xd8") + 30
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _page(_: bytes) -> bytes:
    return b"<html>Please log in</html>"


@pytest.mark.parametrize("damage", [_truncated, _bad_directory, _bad_photo, _page])
def test_a_damaged_archive_is_not_taken_and_heals_at_the_next_run(
    server: Server, served: DownloadParams, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    file = server.files["/val2014.zip"]
    good, file.data = file.data, damage(file.data)
    root = tmp_path / "root"
    with pytest.raises(DataError, match=r"val2014\.zip\.part: ") as caught:
        _acquire(root, served)
    assert "fetch it again" in str(caught.value)
    assert sorted(path.name for path in (root / "images").iterdir()) == ["train2014.zip"]
    file.data, file.etag = good, '"two"'
    assert _acquire(root, served) == ["images/val2014.zip"]
    assert (root / "images" / "val2014.zip").read_bytes() == good


def test_an_archive_with_a_member_that_leads_out_is_refused(
    server: Server, served: DownloadParams, tmp_path: Path
) -> None:
    file = server.files["/caption_datasets.zip"]
    file.data = _zip({"dataset_coco.json": b"{}", "../../evil": b"evil"})
    with pytest.raises(DataError, match="leads out of the archive"):
        _acquire(tmp_path / "a" / "root", served)
    assert not list(tmp_path.rglob("evil"))
    assert not list(tmp_path.rglob("caption_datasets.zip"))


def test_the_disk_is_asked_before_the_first_byte(
    server: Server, served: DownloadParams, tmp_path: Path
) -> None:
    """745 MB is what the unpacked files need; the sizes on this server are not known."""
    with pytest.raises(DataError, match=r"COCO 2014 needs 745\.0 MB and the disk has 745\.0 MB"):
        _acquire(tmp_path / "root", served, free=lambda _: 744_999_999)
    assert not (tmp_path / "root").exists()
    assert not any(file.requests for file in server.files.values())


def test_the_official_sizes_are_said_and_needed_beforehand(tmp_path: Path) -> None:
    """13,510,573,713 + 6,645,013,297 + 252,872,794 + 36,745,453 bytes, and 745 MB unpacked."""
    acquisition = Acquisition(tmp_path / "root", _params(), progress=False, free=lambda _: 10**10)
    assert set(PUBLISHED) == {piece.address(_params()) for piece in COCO}
    said = acquisition.describe(COCO)
    assert "4 piece(s) missing, 20.4 GB to download, 21.2 GB to write:" in said
    assert "images/train2014.zip: 13.5 GB, http://images.cocodataset.org/zips/" in said
    with pytest.raises(DataError, match=r"COCO 2014 needs 21\.2 GB and the disk has 10\.0 GB"):
        acquisition.fetch(COCO)
    assert not (tmp_path / "root").exists()


def test_a_part_that_is_here_is_neither_fetched_nor_counted_again(
    server: Server, served: DownloadParams, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    _acquire(root, served)
    (root / "images" / "val2014.zip").unlink()
    file = server.files["/val2014.zip"]
    before, half = file.sent, len(file.data) // 2
    file.answers = [Answer(cut_after=half)]
    with pytest.raises(DataError, match="given up after 1"):
        _acquire(root, served)
    acquisition = Acquisition(root, served, progress=False)
    assert f"{readable(len(file.data) - half)} to download" in acquisition.describe(
        acquisition.missing(COCO)
    )
    _acquire(root, served)
    assert file.sent - before == len(file.data)


def test_one_process_at_a_time(served: DownloadParams, tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".download.lock"),
        pytest.raises(DataError, match="another process is downloading"),
    ):
        _acquire(tmp_path, served)


@pytest.mark.parametrize("as_url", [False, True])
def test_local_archives_are_read_where_they_lie(source: Path, tmp_path: Path, as_url: bool) -> None:
    mirror, root = tmp_path / "a mirror", tmp_path / "root"
    mirror.mkdir()
    for name, data in _archives(source).items():
        (mirror / name).write_bytes(data)
    places = {key: mirror / name for key, name in KEYS.items()}
    local = _params(**{key: one.as_uri() if as_url else str(one) for key, one in places.items()})
    assert "0 bytes to download" in Acquisition(root, local, progress=False).describe(COCO)
    assert len(_acquire(root, local)) == 4
    assert (root / "images" / "val2014.zip").readlink() == mirror / "val2014.zip"
    assert not (root / "annotations_trainval2014.zip").exists()
    assert describe_source(root, tmp_path / "a") == describe_source(source, tmp_path / "b")
    assert _acquire(root, local) == []


def test_local_folders_are_linked(new_tiny: Callable[[], Any], tmp_path: Path) -> None:
    mirror, root = new_tiny().write(tmp_path / "mirror"), tmp_path / "root"
    local = _params(
        train_images=str(mirror / "images" / "train2014"),
        val_images=str(mirror / "images" / "val2014"),
        annotations=str(mirror / "annotations"),
        karpathy_split=str(mirror / "karpathy_split.json"),
    )
    assert len(_acquire(root, local)) == 4
    assert describe_source(root, tmp_path / "a") == describe_source(mirror, tmp_path / "b")
    assert find_split(root).read_bytes() == (mirror / "karpathy_split.json").read_bytes()
    assert all(path.is_symlink() for path in (root / "annotations").iterdir())


def test_a_local_copy_that_is_not_there_or_not_whole_is_named(
    source: Path, served: DownloadParams, tmp_path: Path
) -> None:
    root = tmp_path / "root"

    def refused(expected: str, **addresses: Path) -> None:
        places = {key: str(path) for key, path in addresses.items()}
        with pytest.raises(DataError, match=expected):
            _acquire(root, served.model_copy(update=places), free=_plenty)

    refused("nowhere: no such file or folder", karpathy_split=tmp_path / "nowhere")
    (source / "annotations" / "captions_val2014.json").unlink()
    refused(r"captions_val2014\.json is not there", annotations=source / "annotations")
    refused("no image in the folder", train_images=source / "annotations")
    refused("not a readable zip archive", train_images=source / "karpathy_split.json")


def test_hashnets_lists_come_on_request(server: Server, tmp_path: Path) -> None:
    for name in ("train", "test", "database"):
        server.add(f"coco/{name}.txt", LIST)
    download = _params(hashnet_lists=server.url("coco/"))
    acquisition = Acquisition(tmp_path, download, progress=False)
    assert len(acquisition.fetch(HASHNET)) == 3
    assert (tmp_path / "hashnet" / "database.txt").read_bytes() == LIST
    (tmp_path / "hashnet" / "test.txt").unlink()
    server.files["/coco/test.txt"].data = LIST.replace(b"1", b"0")
    with pytest.raises(DataError, match=r"hashnet/test\.txt downloads\.json notes"):
        acquisition.fetch(HASHNET)
    other = Acquisition(tmp_path / "b", download, progress=False)
    server.add("coco/train.txt", b"<html>\n</html>\n")
    with pytest.raises(DataError, match=r"train\.txt\.part: line 1 is no path"):
        other.fetch(HASHNET)
    assert not (tmp_path / "b" / "hashnet" / "train.txt").exists()
