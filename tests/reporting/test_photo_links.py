"""Photos on this machine's disk, as the report page reaches them: addresses, policy, refusals."""

import html
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.reporting.web.addresses import photo_address
from siglip2_multimodal_hash.reporting.web.template import vega
from tests.reporting.conftest import ColouredImages, Example
from tests.reporting.report_example import data_of, report

ODD = ("a b", "50%", "what?", "#1", "a%20b", "Größe", 'it\'s "so" & <b>', "x;y=z,@", "日本")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory."""
    folder = tmp_path / "project"
    (folder / "reports").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def followed(address: str, page: Path) -> Path:
    """The path that an address on a page leads to."""
    parts = urlsplit(urljoin(page.as_uri(), address))
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", "", "", "")
    return Path(unquote(parts.path))


@pytest.mark.parametrize("odd", ODD)
def test_a_photo_of_the_project_has_a_relative_address(project: Path, odd: str) -> None:
    photo, page = Path(odd, "val2014", f"{odd}.jpg"), Path("reports", odd, "index.html")
    address = photo_address(photo, page)
    assert address.startswith("../../")
    assert address.isascii()
    assert not re.search(r"[\s\"<>?#]", address)
    assert followed(address, project / page) == project / photo
    # It is the same wherever the project lies, and however its folder is named.
    assert address == photo_address(project / photo, project / page)
    assert "project" not in address


@pytest.mark.parametrize("odd", ODD)
def test_a_photo_elsewhere_has_an_absolute_address(project: Path, tmp_path: Path, odd: str) -> None:
    photo, page = tmp_path / odd / "val2014" / f"{odd}.jpg", Path("reports/index.html")
    address = photo_address(photo, page)
    assert address.startswith("file:///")
    assert address.isascii()
    assert not re.search(r"[\s\"<>?#]", address)
    assert followed(address, project / page) == photo


def test_what_is_outside_is_not_taken_for_a_part_of_the_project(
    project: Path, tmp_path: Path
) -> None:
    page, photo = Path("reports/index.html"), tmp_path / "coco" / "a.jpg"
    assert photo_address(project / "../coco/a.jpg", page) == photo.as_uri()
    assert photo_address(tmp_path / "project-2/a.jpg", page).startswith("file:///")
    photo.parent.mkdir()
    (project / "linked").symlink_to(photo.parent)
    assert photo_address(Path("linked/a.jpg"), page) == photo.as_uri()
    # A page that is written elsewhere is no part of it either.
    photo = project / "data/a.jpg"
    assert photo_address(photo, tmp_path / "index.html") == photo.as_uri()
    assert photo_address(photo, project / "index.html") == "data/a.jpg"


def test_every_photo_is_linked_and_the_policy_allows_files(
    project: Path, example: Example, coloured_images: ColouredImages
) -> None:
    locate = Path("data", "my coco").joinpath
    for images in (None, coloured_images):
        text = report(project / "reports/a.html", example, images, locate=locate)
        photos = data_of(text)["photos"].values()
        for photo in photos:
            assert photo["link"] == f"../data/my%20coco/{photo['file']}"
            assert ("url" in photo) is (images is not None)
        assert "default-src 'none'; img-src data: file:; base-uri" in html.unescape(text)
        assert str(project) not in text


def test_without_links_no_path_is_in_the_page(
    project: Path, example: Example, coloured_images: ColouredImages
) -> None:
    for images in (None, coloured_images):
        text = report(project / "reports/a.html", example, images)
        assert all(
            set(one) <= {"file", "caption", "url"} for one in data_of(text)["photos"].values()
        )
        assert "default-src 'none'; img-src data:; base-uri" in html.unescape(text)
        for part in ("file:", "../", str(project), str(Path.home())):
            assert part not in text.replace(vega(), "")


def test_links_count_towards_the_size_of_the_page(
    project: Path,
    example: Example,
    coloured_images: ColouredImages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from siglip2_multimodal_hash.reporting import page as page_module

    locate = Path("data").joinpath
    plain = len(report(project / "a.html", example, locate=locate).encode())
    whole = len(report(project / "b.html", example, coloured_images, locate=locate).encode())
    limit = (plain + whole) // 2
    monkeypatch.setattr(page_module, "MOST_BYTES", limit)
    text = report(project / "c.html", example, coloured_images, locate=locate)
    assert plain < len(text.encode()) <= limit
    assert all("link" in photo for photo in data_of(text)["photos"].values())


def zipped(root: Path) -> Callable[[str], Path]:
    """The photos of both folders lie in archives."""
    (root / "images").mkdir(parents=True)
    for folder in ("train2014", "val2014"):
        with zipfile.ZipFile(root / f"images/{folder}.zip", "w") as archive:
            archive.writestr(f"{folder}/00.jpg", b"")
    return open_image_source(root).locate


def test_photos_in_an_archive_leave_the_old_page(project: Path, example: Example) -> None:
    page = project / "reports/a.html"
    page.write_text("old", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"val2014\.zip.*\n.*unpack it .*report\.link_images: false"
    ):
        report(page, example, locate=zipped(project / "coco"))
    assert page.read_text(encoding="utf-8") == "old"
    assert [one.name for one in page.parent.iterdir()] == ["a.html"]
