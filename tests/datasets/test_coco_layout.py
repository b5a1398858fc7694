"""The layout of COCO 2014, and which file names are safe."""

import shutil
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siglip2_multimodal_hash.datasets.layout import (
    find_images,
    find_layout,
    find_split,
    is_safe_name,
    split_file_name,
)
from siglip2_multimodal_hash.errors import DataError

NAME = "COCO_val2014_000000000139.jpg"


def test_finds_folders_before_archives(tiny: Any, tmp_path: Path) -> None:
    root = tiny.write(tmp_path)
    (root / "images" / "val2014.zip").touch()
    layout = find_layout(root, split=True)
    assert layout.images["val2014"] == root / "images" / "val2014"
    assert layout.instances["train2014"] == root / "annotations" / "instances_train2014.json"
    assert [path.name for path in layout.annotation_files] == [
        "captions_train2014.json",
        "captions_val2014.json",
        "instances_train2014.json",
        "instances_val2014.json",
    ]


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ("folder", "images/val2014"),
        ("zip", "images/val2014.zip"),
        ("root_zip", "val2014.zip"),
    ],
)
def test_finds_each_form_of_images(
    tiny: Any, tmp_path: Path, container: str, expected: str
) -> None:
    root = tiny.write(tmp_path, container)
    assert find_images(root)["val2014"] == root / expected


def test_mixes_a_folder_at_the_root_and_an_archive(tmp_path: Path) -> None:
    (tmp_path / "train2014").mkdir()
    (tmp_path / "val2014.zip").touch()
    found = find_images(tmp_path)
    assert found == {"train2014": tmp_path / "train2014", "val2014": tmp_path / "val2014.zip"}


def test_karpathys_own_name_is_found(tiny_root: Path) -> None:
    assert find_split(tiny_root).name == "karpathy_split.json"
    (tiny_root / "karpathy_split.json").rename(tiny_root / "dataset_coco.json")
    assert find_split(tiny_root).name == "dataset_coco.json"


def test_lists_all_that_is_missing_at_once(tiny_root: Path) -> None:
    shutil.rmtree(tiny_root / "images" / "train2014")
    (tiny_root / "annotations" / "captions_val2014.json").unlink()
    (tiny_root / "karpathy_split.json").unlink()
    with pytest.raises(DataError) as caught:
        find_layout(tiny_root, split=True)
    message = str(caught.value)
    assert f"{tiny_root}: 3 piece(s) missing" in message
    for piece in (
        "images/train2014/ or images/train2014.zip or train2014.zip",
        "annotations/captions_val2014.json",
        "karpathy_split.json or dataset_coco.json",
        "annotations_trainval2014.zip",
        "caption_datasets.zip",
    ):
        assert piece in message
    assert "instances" not in message
    with pytest.raises(DataError, match="2 piece"):
        find_layout(tiny_root)
    with pytest.raises(DataError, match=r"dataset_coco\.json"):
        find_split(tiny_root)
    with pytest.raises(DataError, match="images/train2014/ or"):
        find_images(tiny_root)


def test_an_absent_root_names_the_parameter(tmp_path: Path) -> None:
    for find in (find_layout, find_images, find_split):
        with pytest.raises(DataError, match=r"nowhere: no such folder\n.*runtime\.coco_root"):
            find(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [NAME, "a", "my photo (1).jpg", "写真.jpg", "a..b.jpg", "_x"])
def test_plain_names_are_safe(name: str) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        " ",
        "/etc/passwd",
        "../x.jpg",
        "..\\x.jpg",
        "a/b.jpg",
        "a\\b.jpg",
        "C:x.jpg",
        "x.jpg:stream",
        "a\0.jpg",
        "a\n.jpg",
        "\ud800.jpg",
        ".hidden.jpg",
        "x.jpg.",
        "x.jpg ",
    ],
)
def test_names_that_could_lead_elsewhere_are_not(name: str) -> None:
    assert not is_safe_name(name)


@given(
    st.one_of(
        st.text(max_size=12),
        st.text(alphabet="./\\:~ aC\0", max_size=12),
    )
)
def test_a_safe_name_stays_in_its_folder_on_every_platform(name: str) -> None:
    if not is_safe_name(name):
        return
    for flavour, folder in ((PurePosixPath, "/data/val2014"), (PureWindowsPath, "D:/val2014")):
        path = flavour(folder) / name
        assert path.parent == flavour(folder)
        assert path.name == name
    assert split_file_name(f"val2014/{name}") == ("val2014", name)


@pytest.mark.parametrize(
    "file_name", [NAME, f"test2014/{NAME}", "val2014/", "val2014/../x.jpg", f"/val2014/{NAME}"]
)
def test_refuses_a_file_name_of_another_form(file_name: str) -> None:
    with pytest.raises(DataError, match="is not train2014 or val2014 plus") as caught:
        split_file_name(file_name)
    assert repr(file_name) in str(caught.value)
