"""COCO from nothing: fetched from a server on a real socket, or taken from where it lies."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from PIL import Image

from siglip2_multimodal_hash.datasets.acquisition.coco import (
    LOCK_FILE,
    NOTES_FILE,
    OFFICIAL,
    Known,
    acquire_coco,
)
from siglip2_multimodal_hash.datasets.acquisition.download import Transfer
from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.datasets.layout import ANNOTATION_NAMES, find_layout, is_safe_name
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.files import file_sha256, write_json
from siglip2_multimodal_hash.params import DownloadParams, load_params
from siglip2_multimodal_hash.presets import override_text
from tests.datasets.acquisition.conftest import Answer, Server

ROOT = Path(__file__).resolve().parents[3]
HOW = Transfer(attempts=2, timeout=5.0, backoff=0.01)
ARCHIVES = (
    "train2014.zip",
    "val2014.zip",
    "annotations_trainval2014.zip",
    "caption_datasets.zip",
)


def _zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _jpeg(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 90, 30)).save(stream, "JPEG")
    return stream.getvalue()


def _archives() -> dict[str, bytes]:
    images = {
        folder: {f"{folder}/COCO_{folder}_{n:012d}.jpg": _jpeg(n) for n in range(1, 9)}
        for folder in ("train2014", "val2014")
    }
    annotations = {
        name: json.dumps({"images": [], "of": name}).encode() for name in ANNOTATION_NAMES
    }
    return {
        "train2014.zip": _zip(images["train2014"]),
        "val2014.zip": _zip(images["val2014"]),
        "annotations_trainval2014.zip": _zip(
            annotations | {"annotations/person_keypoints_val2014.json": b"{}"}
        ),
        "caption_datasets.zip": _zip(
            {"dataset_coco.json": b'{"images": []}', "dataset_flickr8k.json": b"{}"}
        ),
    }


@pytest.fixture
def served(server: Server) -> Server:
    for name, data in _archives().items():
        server.add(name, data)
    for name in ("train", "test", "database"):
        server.add(f"{name}.txt", f"val2014/COCO_val2014_{name}.jpg 0 1\n".encode())
    return server


def _params(where: Callable[[str], str], **changes: Any) -> DownloadParams:
    return DownloadParams(
        enabled=True,
        train_images=where("train2014.zip"),
        val_images=where("val2014.zip"),
        annotations=where("annotations_trainval2014.zip"),
        karpathy_split=where("caption_datasets.zip"),
        hashnet_lists=where("").rstrip("/"),
        attempts=2,
        timeout=5.0,
    ).model_copy(update=changes)


def _files(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()
    )


WHOLE = sorted(
    (
        *ANNOTATION_NAMES,
        "dataset_coco.json",
        "downloads.json",
        "images/train2014.zip",
        "images/val2014.zip",
        LOCK_FILE,
    )
)


def test_from_nothing_to_the_layout_and_then_nothing_more(served: Server, tmp_path: Path) -> None:
    root = tmp_path / "new" / "coco"
    fetched = acquire_coco(root, _params(served.url), HOW)
    assert fetched == ["images/train2014.zip", "images/val2014.zip", *ARCHIVES[2:]]
    assert _files(root) == WHOLE
    layout = find_layout(root, split=True)
    assert json.loads(layout.instances["val2014"].read_text())["of"] == (
        "annotations/instances_val2014.json"
    )
    image = open_image_source(root).open("val2014/COCO_val2014_000000000003.jpg")
    assert image.size == (64, 48)
    before = {name: len(file.requests) for name, file in served.files.items()}
    assert acquire_coco(root, _params(served.url), HOW) == []
    assert {name: len(file.requests) for name, file in served.files.items()} == before


def test_what_is_there_is_not_fetched(served: Server, tmp_path: Path) -> None:
    (tmp_path / "val2014").mkdir()
    (tmp_path / "karpathy_split.json").write_text("{}")
    assert acquire_coco(tmp_path, _params(served.url), HOW) == [
        "images/train2014.zip",
        "annotations_trainval2014.zip",
    ]


def test_a_lost_connection_is_resumed_by_the_next_call(served: Server, tmp_path: Path) -> None:
    file = served.files["/val2014.zip"]
    half = len(file.data) // 2
    file.answers += [Answer(cut_after=half), Answer(status=503), Answer(status=503)]
    with pytest.raises(DataError, match=r"val2014\.zip: given up after 2 attempt"):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert "images/val2014.zip" not in _files(tmp_path)
    acquire_coco(tmp_path, _params(served.url), HOW)
    assert _files(tmp_path) == WHOLE
    assert file.sent == len(file.data)
    assert served.files["/train2014.zip"].sent == len(served.files["/train2014.zip"].data)


@pytest.mark.parametrize("fetched", [True, False])
def test_an_archive_that_is_there_is_unpacked_and_stays_unless_it_was_fetched(
    served: Server, tmp_path: Path, fetched: bool
) -> None:
    """A process may be killed after an archive came; or the user put it there."""
    archive = tmp_path / "caption_datasets.zip"
    data = served.files["/caption_datasets.zip"].data
    archive.write_bytes(data)
    if fetched:
        note = {"bytes": len(data), "sha256": file_sha256(archive), "url": "its URL"}
        write_json(tmp_path / NOTES_FILE, {archive.name: note})
    acquire_coco(tmp_path, _params(served.url), HOW)
    assert not served.files["/caption_datasets.zip"].requests
    assert archive.exists() != fetched
    if not fetched:
        assert archive.read_bytes() == data
        archive.unlink()
    assert _files(tmp_path) == WHOLE


def test_an_annotation_that_is_there_is_not_unpacked_again(served: Server, tmp_path: Path) -> None:
    kept = tmp_path / ANNOTATION_NAMES[0]
    kept.parent.mkdir()
    kept.write_text("corrected by hand")
    acquire_coco(tmp_path, _params(served.url), HOW)
    assert kept.read_text() == "corrected by hand"
    assert _files(tmp_path) == WHOLE


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("images/val2014.zip.part", False),
        ("images/val2014.zip", True),
        (ANNOTATION_NAMES[1], True),
        ("dataset_coco.json", True),
    ],
)
def test_what_no_download_made_is_refused_before_the_first_byte(
    served: Server, tmp_path: Path, name: str, link: bool
) -> None:
    """Another program's partial file, or a link into a disk that is not mounted."""
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    if link:
        place.symlink_to("/no/such/disk")
    else:
        place.write_text("10 GB of another program")
    with pytest.raises(InputError, match=name):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert not any(one.requests for one in served.files.values())
    assert place.is_symlink() if link else place.read_text() == "10 GB of another program"


def test_another_file_than_the_first_time_is_refused(served: Server, tmp_path: Path) -> None:
    acquire_coco(tmp_path, _params(served.url), HOW)
    (tmp_path / "images" / "val2014.zip").unlink()
    first = served.files["/val2014.zip"].data
    served.add("val2014.zip", first + b"1", etag='"two"')
    with pytest.raises(DataError, match=r"the server has \d+ bytes instead of"):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert served.files["/val2014.zip"].requests
    # Of the same size: one bit of a member's time.
    other = first[:10] + bytes([first[10] ^ 1]) + first[11:]
    served.add("val2014.zip", other, etag='"three"')
    with pytest.raises(DataError, match=r"SHA-256 .*downloads\.json notes.*\n.*--accept-changed"):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert "images/val2014.zip" not in _files(tmp_path)
    acquire_coco(tmp_path, _params(served.url), HOW, accept_changed=True)
    assert (tmp_path / "images" / "val2014.zip").read_bytes() == other
    assert acquire_coco(tmp_path, _params(served.url), HOW) == []


def test_a_size_that_is_not_the_official_one_is_refused(
    served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = served.url("val2014.zip")
    monkeypatch.setitem(OFFICIAL, url, Known(12, "0" * 64))
    with pytest.raises(DataError, match=r"val2014\.zip: the server has \d+ bytes instead of 12"):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert "images/val2014.zip" not in _files(tmp_path)


def _damaged(data: bytes, kind: str) -> bytes:
    if kind == "truncated":
        return data[: len(data) * 2 // 3]
    directory = data.rindex(b"PK\x01\x02")
    return data[:directory] + b"\0" * 20 + data[directory + 20 :]


@pytest.mark.parametrize("text", ["[]", "{", '{"a": {"bytes": "x"}}', '{"a": 3}'])
def test_other_content_than_notes_is_refused_before_the_first_byte(
    served: Server, tmp_path: Path, text: str
) -> None:
    (tmp_path / NOTES_FILE).write_text(text)
    with pytest.raises(DataError, match=r"downloads\.json: not the notes"):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert not any(one.requests for one in served.files.values())
    assert (tmp_path / NOTES_FILE).read_text() == text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_fills_up_is_one_message(
    served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = Path.open

    def opened(path: Path, *args: Any, **more: Any) -> Any:
        full = path.name == "val2014.zip.part"
        return real_open(Path("/dev/full") if full else path, *args, **more)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(DataError, match=r"images/val2014\.zip: cannot be written \(No space left"):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert "images/val2014.zip" not in _files(tmp_path)


@pytest.mark.parametrize("kind", ["truncated", "corrupt directory"])
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_damaged_archive_is_not_kept(
    served: Server, tmp_path: Path, name: str, kind: str
) -> None:
    served.add(name, _damaged(served.files[f"/{name}"].data, kind))
    with pytest.raises(DataError, match=name.partition(".")[0]):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert not any(name in file for file in _files(tmp_path))
    served.add(name, _archives()[name], etag='"mended"')
    acquire_coco(tmp_path, _params(served.url), HOW)
    assert _files(tmp_path) == WHOLE


def test_a_photo_with_a_changed_byte_is_noticed_where_no_digest_is_known(
    served: Server, tmp_path: Path
) -> None:
    file = served.files["/val2014.zip"]
    good, at = file.data, file.data.index(b"\xff\xd8") + 30
    file.data = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
    with pytest.raises(DataError, match=r"000000000001\.jpg: cannot be read \(Bad CRC-32"):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert "images/val2014.zip" not in _files(tmp_path)
    file.data, file.etag = good, '"mended"'
    acquire_coco(tmp_path, _params(served.url), HOW)
    assert _files(tmp_path) == WHOLE


def test_another_file_than_the_published_one_is_refused(
    served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, size = served.url("val2014.zip"), len(served.files["/val2014.zip"].data)
    monkeypatch.setitem(OFFICIAL, url, Known(size, "0" * 64))
    with pytest.raises(DataError, match=r"is published \d+ bytes and 0{64}\n.*--accept-changed"):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert "images/val2014.zip" not in _files(tmp_path)
    acquire_coco(tmp_path, _params(served.url), HOW, accept_changed=True)
    (tmp_path / "images" / "val2014.zip").unlink()
    # A file that was accepted once is the one known from then on.
    assert acquire_coco(tmp_path, _params(served.url), HOW) == ["images/val2014.zip"]


def test_a_member_that_leads_out_is_refused(served: Server, tmp_path: Path) -> None:
    members = dict.fromkeys(ANNOTATION_NAMES, b"{}") | {"../evil.json": b"{}"}
    served.add("annotations_trainval2014.zip", _zip(members))
    root = tmp_path / "coco"
    with pytest.raises(DataError, match=r"'\.\./evil\.json' leads out of the archive"):
        acquire_coco(root, _params(served.url), HOW)
    assert not (tmp_path / "evil.json").exists()
    assert not any("annotations" in file for file in _files(root))


def test_a_disk_that_is_too_small_is_noticed_before_the_first_byte(
    served: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leave_free: Callable[[int], None],
) -> None:
    for name in ARCHIVES[:2]:
        size = len(served.files[f"/{name}"].data)
        monkeypatch.setitem(OFFICIAL, served.url(name), Known(size, "0" * 64))
    leave_free(5000)
    with pytest.raises(DataError, match=r"what is missing of COCO 2014 needs .* 4\.9 KiB free"):
        acquire_coco(tmp_path, _params(served.url), HOW)
    assert not any(file.requests for file in served.files.values())


def test_an_address_that_has_nothing_is_named(served: Server, tmp_path: Path) -> None:
    params = _params(served.url, karpathy_split=served.url("gone.zip"))
    with pytest.raises(DataError, match=r"gone\.zip.*404"):
        acquire_coco(tmp_path, params, HOW)
    acquire_coco(tmp_path, _params(served.url), HOW)
    assert _files(tmp_path) == WHOLE


def test_two_at_a_time_are_refused(served: Server, tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / LOCK_FILE),
        pytest.raises(DataError, match="another process is fetching COCO"),
    ):
        acquire_coco(tmp_path, _params(served.url), HOW)


def test_hashnet_lists_come_when_they_are_asked_for(served: Server, tmp_path: Path) -> None:
    acquire_coco(tmp_path, _params(served.url), HOW)
    lists = [f"hashnet/{name}.txt" for name in ("train", "test", "database")]
    assert acquire_coco(tmp_path, _params(served.url), HOW, hashnet=True) == lists
    assert (tmp_path / lists[1]).read_text() == "val2014/COCO_val2014_test.jpg 0 1\n"


@pytest.mark.parametrize("page", [b"<html>Please log in</html>\n", b""])
def test_what_is_no_list_is_not_kept(served: Server, tmp_path: Path, page: bytes) -> None:
    served.add("test.txt", page)
    with pytest.raises(DataError, match=r"hashnet/test\.txt\.part: "):
        acquire_coco(tmp_path, _params(served.url), HOW, hashnet=True)
    assert not any("test.txt" in file for file in _files(tmp_path))


def test_a_root_that_cannot_be_made_is_one_message(served: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/root: cannot be written \(Not a directory"):
        acquire_coco(tmp_path / "file" / "root", _params(served.url), HOW)


def test_the_sum_is_said_and_the_disk_asked_before_the_first_byte(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, leave_free: Callable[[int], None]
) -> None:
    """20,445,205,257 bytes in four archives, and 745 MB that are unpacked of them."""
    caplog.set_level("INFO", "siglip2_multimodal_hash")
    download = load_params(ROOT / "params.yaml").runtime.download
    leave_free(21_190_205_256)
    said = r"COCO 2014 needs 19\.7 GiB and the disk has 19\.7 GiB free"
    with pytest.raises(DataError, match=said):
        acquire_coco(tmp_path, download, HOW)
    assert "missing, to fetch 19.0 GiB:" in caplog.messages[0]
    assert "images/train2014.zip: http://images.cocodataset.org/zips/" in caplog.messages[0]


@pytest.mark.parametrize("as_address", [False, True])
def test_copies_are_read_where_they_lie(tmp_path: Path, as_address: bool) -> None:
    nas = tmp_path / "nas"
    (nas / "images").mkdir(parents=True)
    archives = _archives()
    (nas / "images" / "val2014.zip").write_bytes(archives["val2014.zip"])
    with zipfile.ZipFile(io.BytesIO(archives["train2014.zip"])) as archive:
        archive.extractall(nas / "images")
    (nas / "annotations.zip").write_bytes(archives["annotations_trainval2014.zip"])
    (nas / "split.json").write_text('{"images": []}')
    before = _files(nas)

    def place(name: str) -> str:
        path = nas / name
        return path.as_uri() if as_address else str(path)

    params = _params(
        place,
        train_images=place("images/train2014"),
        val_images=place("images/val2014.zip"),
        annotations=place("annotations.zip"),
        karpathy_split=place("split.json"),
    )
    root = tmp_path / "coco"
    acquire_coco(root, params, HOW)
    assert _files(nas) == before
    assert (root / "images" / "train2014").is_symlink()
    assert (root / "images" / "val2014.zip").is_symlink()
    find_layout(root, split=True)
    for folder in ("train2014", "val2014"):
        name = f"{folder}/COCO_{folder}_000000000002.jpg"
        assert open_image_source(root).open(name).size == (64, 48)
    assert acquire_coco(root, params, HOW) == []


def test_a_folder_of_annotations_is_linked(served: Server, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    for name in ANNOTATION_NAMES:
        (nas / name).parent.mkdir(parents=True, exist_ok=True)
        (nas / name).write_text("{}")
    root = tmp_path / "coco"
    params = _params(served.url, annotations=str(nas / "annotations"))
    acquire_coco(root, params, HOW)
    assert all((root / name).is_symlink() for name in ANNOTATION_NAMES)


def test_a_copy_that_is_not_there_is_named(served: Server, tmp_path: Path) -> None:
    params = _params(served.url, val_images=str(tmp_path / "gone.zip"))
    with pytest.raises(DataError, match=r"gone\.zip: no such file or folder"):
        acquire_coco(tmp_path / "coco", params, HOW)


def test_the_command_fetches_and_says_what_comes_next(
    served: Server,
    tmp_path: Path,
    smhash: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    overrides = {
        f"runtime.download.{name}": value
        for name, value in _params(served.url).model_dump().items()
        if name not in {"enabled", "attempts", "timeout"}
    }
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(override_text(text, overrides, source="params.yaml"))
    monkeypatch.chdir(tmp_path)
    assert smhash("download", "coco2014") == 2
    assert "runtime.coco_root is empty" in capsys.readouterr().err
    # The project's own folder for data has a file in Git; it stays.
    Path("data").mkdir()
    (readme := Path("data/README.md")).write_text("What appears here")
    for root in ("data/coco", "data"):
        assert smhash("download", "coco2014", "--root", root) == 0
        said = capsys.readouterr().out
        assert f"next: smhash use coco2014 --coco-root {tmp_path / root}" in said
    assert _files(tmp_path / "data/coco") == WHOLE
    assert readme.read_text() == "What appears here"
    assert smhash("download", "coco2014", "--root", "data") == 0
    assert "nothing was missing" in capsys.readouterr().out


def test_the_official_addresses_are_the_defaults() -> None:
    download = load_params(ROOT / "params.yaml").runtime.download
    assert set(OFFICIAL) == {
        download.train_images,
        download.val_images,
        download.annotations,
        download.karpathy_split,
    }
    assert not download.enabled
    assert is_safe_name(Path(download.karpathy_split).name)
