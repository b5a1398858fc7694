"""Files of the synthetic dataset: COCO's schema, the same bytes, whole or not at all."""

import json
import zipfile
from collections import Counter
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools.coco import COCO

from siglip2_multimodal_hash.datasets.mojicoco import TOWER_STREAM, generate_mojicoco
from siglip2_multimodal_hash.datasets.mojicoco.annotations import tokens
from siglip2_multimodal_hash.errors import DataError, InputError

SIZES = {"train": 60, "restval": 20, "val": 20, "test": 20}


def make(root: Path, *, workers: int = 1, seed: int = 3) -> None:
    generate_mojicoco(root, **SIZES, image_size=128, seed=seed, workers=workers)


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(f.relative_to(root)): sha256(f.read_bytes()).hexdigest() for f in files}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "mojicoco"
    make(folder)
    return folder


def test_files(root: Path) -> None:
    assert set(digests(root)) == {
        "annotations/captions_train2014.json",
        "annotations/captions_val2014.json",
        "annotations/instances_train2014.json",
        "annotations/instances_val2014.json",
        "images/train2014.zip",
        "images/val2014.zip",
        "karpathy_split.json",
    }


def test_same_bytes_again_and_with_more_workers(root: Path, tmp_path: Path) -> None:
    make(tmp_path / "two", workers=2)
    assert digests(tmp_path / "two") == digests(root)
    make(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(root)


def test_another_seed_gives_other_images(root: Path, tmp_path: Path) -> None:
    make(tmp_path / "other", seed=4)
    one, other = digests(root), digests(tmp_path / "other")
    assert not [name for name in one if one[name] == other[name]]


@pytest.mark.parametrize("folder", ["train2014", "val2014"])
def test_instances_and_captions_follow_coco(root: Path, folder: str) -> None:
    instances = read(root / "annotations" / f"instances_{folder}.json")
    captions = read(root / "annotations" / f"captions_{folder}.json")
    assert set(instances) == {"info", "licenses", "images", "annotations", "categories"}
    assert set(captions) == {"info", "licenses", "images", "annotations"}
    assert "CC BY-SA 4.0" in instances["licenses"][0]["name"]
    assert len(instances["categories"]) == 80
    images = {image["id"]: image for image in instances["images"]}
    assert len(images) == 60
    assert captions["images"] == instances["images"]
    for image in images.values():
        assert image["file_name"] == f"COCO_{folder}_{image['id']:012d}.jpg"
        assert (image["width"], image["height"], image["license"]) == (128, 128, 1)
    ids = [annotation["id"] for annotation in instances["annotations"]]
    assert len(ids) == len(set(ids))
    for annotation in instances["annotations"]:
        assert set(annotation) == {
            "id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation",
        }  # fmt: skip
        left, top, width, height = annotation["bbox"]
        assert left >= 0
        assert top >= 0
        assert left + width <= 128
        assert top + height <= 128
        assert 0 < annotation["area"] <= width * height
        assert annotation["image_id"] in images
        assert annotation["iscrowd"] == 0
    per_image = Counter(annotation["image_id"] for annotation in captions["annotations"])
    assert per_image == dict.fromkeys(images, 5)


def test_ids_are_unique_over_both_folders(root: Path) -> None:
    for kind, key in (("instances", "images"), ("captions", "annotations")):
        ids = [
            entry["id"]
            for folder in ("train2014", "val2014")
            for entry in read(root / "annotations" / f"{kind}_{folder}.json")[key]
        ]
        assert len(ids) == len(set(ids))


def test_pycocotools_reads_it(root: Path) -> None:
    coco = COCO(str(root / "annotations" / "instances_val2014.json"))
    assert len(coco.getImgIds()) == 60
    assert len(coco.getCatIds()) == 80
    annotation = next(iter(coco.anns.values()))
    assert coco.annToMask(annotation).shape == (128, 128)


@pytest.mark.parametrize("folder", ["train2014", "val2014"])
def test_archives_are_like_the_official_ones(root: Path, folder: str) -> None:
    images = read(root / "annotations" / f"instances_{folder}.json")["images"]
    with zipfile.ZipFile(root / "images" / f"{folder}.zip") as archive:
        assert archive.namelist() == [f"{folder}/{image['file_name']}" for image in images]
        for member in archive.infolist():
            assert member.compress_type == zipfile.ZIP_STORED
            assert member.date_time == (2014, 8, 1, 0, 0, 0)
        with Image.open(BytesIO(archive.read(archive.namelist()[0]))) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (128, 128))


def test_karpathy_s_split(root: Path) -> None:
    split = read(root / "karpathy_split.json")
    assert split["dataset"] == "coco"
    images = split["images"]
    assert Counter(image["split"] for image in images) == SIZES
    assert [image["imgid"] for image in images] == list(range(len(images)))
    in_val = [image["split"] for image in images if image["filepath"] == "val2014"]
    assert set(in_val) == {"restval", "val", "test"}
    assert in_val != sorted(in_val)
    captions = {
        annotation["id"]: annotation
        for folder in ("train2014", "val2014")
        for annotation in read(root / "annotations" / f"captions_{folder}.json")["annotations"]
    }
    for image in images:
        assert (image["filepath"] == "train2014") == (image["split"] == "train")
        assert image["filename"].startswith(f"COCO_{image['filepath']}_")
        assert image["sentids"] == [sentence["sentid"] for sentence in image["sentences"]]
        for sentence in image["sentences"]:
            annotation = captions[sentence["sentid"]]
            assert annotation["image_id"] == image["cocoid"]
            assert annotation["caption"] == sentence["raw"]
            assert sentence["tokens"] == tokens(sentence["raw"])
            assert sentence["imgid"] == image["imgid"]


def test_tokens() -> None:
    assert tokens("A view of somebody's kitchen.") == ["a", "view", "of", "somebodys", "kitchen"]


@pytest.mark.parametrize("name", ["thesis.tex", "annotations"])
def test_a_folder_that_is_there_is_not_replaced(tmp_path: Path, name: str) -> None:
    """Not even one in COCO's layout, which may be COCO itself; DVC removes what it made."""
    (tmp_path / name).write_text("five years of work")
    with pytest.raises(InputError, match="a folder is there"):
        make(tmp_path)
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("seed", [-1, TOWER_STREAM])
def test_seeds_of_the_towers_are_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(DataError, match="seed"):
        make(tmp_path / "data", seed=seed)
