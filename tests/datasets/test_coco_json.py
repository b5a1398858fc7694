"""Instances and captions files of any year: what is read, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.datasets.coco_json import CocoJson
from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.errors import DataError
from tests.parameters import params_with

OWN = {"dataset.kind": "coco_json", "dataset.name": "tiny"}


@pytest.fixture
def root(tiny: Any, tmp_path: Path) -> Path:
    """The tiny COCO under the names of another year."""
    folder: Path = tiny.write(tmp_path / "coco")
    for year in ("train", "val"):
        for kind in ("instances", "captions"):
            path = folder / f"annotations/{kind}_{year}2014.json"
            path.rename(path.with_name(f"{kind}_{year}.v2.json"))
        (folder / f"images/{year}2014").rename(folder / f"images/{year}.v2")
    (folder / "karpathy_split.json").unlink()
    return folder


def source(root: Path) -> CocoJson:
    params = params_with(OWN | {"runtime.dataset_root": str(root)})
    return CocoJson(root, params.dataset, params.runtime)


def write_split(root: Path, **splits: str) -> None:
    """A split file; ``i10="train"`` puts image 10 into train, where the source has it."""
    records = [
        {"cocoid": int(name[1:]), "filepath": "val.v2", "filename": f"{name}.jpg", "split": split}
        for name, split in splits.items()
    ]
    (root / "split.json").write_text(json.dumps({"images": records}))


def test_any_names_of_files_and_folders(root: Path) -> None:
    source(root).prepare()
    found = source(root).annotations()
    assert found.image_ids.tolist() == list(range(10, 110, 10))
    assert found.category_names == ("person", "airplane", "dog")
    assert found.file_names[0].startswith("train.v2/")
    images = open_image_source(root, "coco_json")
    assert [images.open(name).size for name in found.file_names] == [(8, 6)] * 10


def test_captions_may_be_missing(root: Path) -> None:
    (root / "annotations/captions_train.v2.json").unlink()
    path = root / "annotations/captions_val.v2.json"
    content = json.loads(path.read_text())
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 20]
    path.write_text(json.dumps(content))
    counts = list(map(len, source(root).annotations().captions))
    assert counts == [0, 0, 0, 2, 0, 2, 0, 2, 2, 2]


def test_a_seeded_split_without_a_split_file(root: Path, tmp_path: Path) -> None:
    counts = source(root).write_split(tmp_path / "split.json")
    assert counts.found == {"train": 8, "val": 1, "test": 1}
    assert counts.line() == "train 8, val 1, test 1"


def test_a_split_file_may_leave_images_out(root: Path, tmp_path: Path) -> None:
    write_split(root, i10="train", i70="train", i30="train", i20="val", i100="test")
    counts = source(root).write_split(tmp_path / "out.json")
    assert counts.found == {"train": 3, "val": 1, "test": 1}


def gone(root: Path) -> None:
    next((root / "images/val.v2").iterdir()).unlink()


def no_folder(root: Path) -> None:
    (root / "images/val.v2").rename(root / "images/val")


def no_instances(root: Path) -> None:
    (root / "annotations/instances_val.v2.json").unlink()


def no_annotations(root: Path) -> None:
    (root / "annotations").rename(root / "labels")


def stray(root: Path) -> None:
    write_split(root, i10="train", i20="val", i100="test", i11="test")


def no_test(root: Path) -> None:
    write_split(root, i10="train", i20="val")


def unknown_split(root: Path) -> None:
    write_split(root, i10="train", i20="val", i100="dev")


def unlabelled_val(root: Path) -> None:
    write_split(root, i10="train", i80="val", i100="test")


def outside(root: Path) -> None:
    for kind in ("instances", "captions"):
        path = root / f"annotations/{kind}_val.v2.json"
        content = json.loads(path.read_text())
        content["images"][0]["file_name"] = "../../x.jpg"
        path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (gone, r"1 image\(s\) that the annotations name are missing"),
        (no_folder, r"1 piece\(s\) missing: images/val\.v2/ or"),
        (no_instances, r"missing: instances_val\.v2\.json"),
        (no_annotations, r"no file instances_NAME\.json"),
        (stray, r"split\.json: 1 image\(s\) are not in the annotations, the first: cocoid 11"),
        (no_test, "no image is in split test"),
        (unknown_split, "split 'dev' is unknown"),
        (unlabelled_val, "no image of split val has a label"),
        (outside, "is not a plain file name"),
    ],
)
def test_what_is_wrong_is_one_message(
    root: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(root)
    with pytest.raises(DataError, match=message) as caught:
        source(root).prepare()
    assert "trainval2014" not in str(caught.value)
