"""Split protocols: on a tiny source by hand, and on the published lists of COCO 2014."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets import protocols
from siglip2_multimodal_hash.datasets.hashnet_lists import read_lists
from siglip2_multimodal_hash.datasets.index import count_splits
from siglip2_multimodal_hash.datasets.index_builder import index_source
from siglip2_multimodal_hash.datasets.layout import find_layout
from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.datasets.protocols import (
    FULL_KARPATHY,
    SourceImage,
    SplitCounts,
    choose_val,
    full_hashnet,
    full_standard,
    hashnet_split,
    read_source_images,
    standard_split,
    write_protocol_split,
)
from siglip2_multimodal_hash.datasets.split_file import (
    SplitImage,
    read_split,
    write_split,
)
from siglip2_multimodal_hash.datasets.statistics import dataset_statistics
from siglip2_multimodal_hash.doctor.data import check_dataset
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import SplitProtocol
from tests.doctor.machines import params_with

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
COCO = SHARED / "coco-annotations"
real = pytest.mark.skipif(not COCO.is_dir(), reason=f"{COCO.name} is not beside the project")


def write(
    protocol: SplitProtocol,
    root: Path,
    target: Path,
    *,
    val_images: int = 5000,
    whole: bool = False,
) -> SplitCounts:
    return write_protocol_split(
        protocol, root, target, val_images=val_images, seed=2014, whole_coco=whole
    )


def write_lists(root: Path, **lists: list[str]) -> None:
    (root / "hashnet").mkdir(exist_ok=True)
    for name, lines in lists.items():
        (root / "hashnet" / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))


def test_restval_trains_where_train2014_is_empty(tiny: Any, tmp_path: Path) -> None:
    for content in (tiny.instances, tiny.captions):
        content["train2014"].update(images=[], annotations=[])
    tiny.split["images"] = [one for one in tiny.split["images"] if one["filepath"] == "val2014"]
    root = tiny.write(tmp_path / "coco")
    for image in (root / "images/train2014").iterdir():
        image.unlink()
    describe_source(root, tmp_path / "source")
    counts = write("karpathy", root, tmp_path / "split.json")
    assert counts.line() == "restval 2, val 2, test 2"
    index, _ = index_source(root, tmp_path / "source", tmp_path / "split.json", "keep")
    assert index.frame["image_id"][index.rows("train")].tolist() == [20, 40]
    (found,) = check_dataset(
        params_with("coco2014", runtime__coco_root=str(root)), tmp_path / "nowhere", artwork=True
    )
    assert found.status == "warn"
    assert "0 of train2014, 6 of val2014" in found.finding


def line(tiny: Any, folder: str, image_id: int) -> str:
    """A line as published: somebody's path, and labels that nobody reads."""
    return f"/home/somebody/coco/{folder}/{tiny.name(folder, image_id)} 0 1 0"


# The slice


def test_the_slice_is_seeded_and_at_most_a_fifth() -> None:
    chosen = choose_val(range(100), 10, seed=1)
    assert len(chosen) == 10
    assert chosen == choose_val(reversed(range(100)), 10, seed=1)
    assert chosen != choose_val(range(100), 10, seed=2)
    assert chosen < choose_val(range(100), 15, seed=1)
    assert len(choose_val(range(100), 5000, seed=1)) == 20
    assert choose_val(range(4), 5000, seed=1) == frozenset()


def test_the_slice_of_a_seed_never_changes() -> None:
    """Pinned: another slice would make figures of val incomparable."""
    assert sorted(choose_val(range(1, 101), 5, seed=2014)) == [6, 22, 33, 48, 98]


# A tiny source


def test_images_of_a_source(tiny: Any, tiny_root: Path) -> None:
    images = read_source_images(find_layout(tiny_root))
    assert [image.cocoid for image in images] == list(range(10, 101, 10))
    assert images[0] == (10, "train2014", tiny.name("train2014", 10), True)
    assert [image.cocoid for image in images if not image.labelled] == [50, 80]


def test_standard_tests_on_val2014(tiny: Any, tmp_path: Path) -> None:
    for number in range(6):  # ten images in train2014, so that a fifth is two
        extra = {"file_name": f"{number}.jpg", "width": 8, "height": 6, "id": 200 + number}
        tiny.instances["train2014"]["images"].append(extra)
    tiny.write_json(tmp_path)
    (tmp_path / "images/train2014").mkdir(parents=True)
    (tmp_path / "images/val2014").mkdir()
    counts = write("standard", tmp_path, tmp_path / "split.json")
    assert counts.found == {"train": 8, "val": 2, "test": 6}
    assert counts.line() == "train 8, val 2, test 6"
    for image in read_split(tmp_path / "split.json"):
        assert (image.split == "test") == (image.filepath == "val2014")


def test_standard_without_images_for_val_writes_nothing(tiny_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"under protocol standard no image is in split val"):
        write("standard", tiny_root, tmp_path / "split.json")
    assert not (tmp_path / "split.json").exists()


def hashnet_root(tiny: Any, root: Path, **more: list[str]) -> Path:
    """Six more labelled images; 10 and 90 train, 100 asks."""
    content = tiny.instances["train2014"]
    for image_id in range(200, 206):
        image = {"file_name": tiny.name("train2014", image_id), "width": 8, "height": 6}
        content["images"].append(image | {"id": image_id})
        tiny.captions["train2014"]["images"].append(image | {"id": image_id})
        content["annotations"].append({"id": image_id, "image_id": image_id, "category_id": 1})
        tiny.captions["train2014"]["annotations"].append(
            {"id": image_id, "image_id": image_id, "caption": "a person"}
        )
    tiny.write(root)
    for image_id in range(200, 206):
        path = root / "images/train2014" / tiny.name("train2014", image_id)
        path.write_bytes(tiny.jpeg(image_id))
    lists = {
        "train": [line(tiny, "train2014", 10), line(tiny, "val2014", 90)],
        # one that the source lacks, and an empty line
        "test": [line(tiny, "val2014", 100), "", line(tiny, "val2014", 999)],
    }
    write_lists(root, **lists | more)
    return root


def test_hashnet_by_hand(tiny: Any, tmp_path: Path) -> None:
    root = hashnet_root(tiny, tmp_path / "coco")
    split_file = tmp_path / "split.json"
    counts = write("hashnet", root, split_file, whole=True)
    # labelled: 10, 20, 30, 40, 60, 70, 90, 100 and six more; 11 of them are in no list
    assert counts.found == {"train": 2, "database": 9, "database_val": 2, "test": 1}
    assert counts.line() == (
        "train 2 of 10,000, database 9 of 102,218, database_val 2 of 5,000, test 1 of 5,000, "
        "database of test 13 of 117,218"
    )
    splits = {image.cocoid: image.split for image in read_split(split_file)}
    assert (splits[10], splits[90], splits[100]) == ("train", "train", "test")
    assert not {50, 80} & splits.keys()

    describe_source(root)
    index, found = index_source(root, root, split_file, "keep")
    assert found.outside_split == 2
    rows = {name: set(index.rows(name)) for name in ("train", "database", "val", "test")}
    assert [len(rows[name]) for name in rows] == [2, 13, 2, 1]
    assert rows["train"] < rows["database"]
    assert rows["val"] < rows["database"]
    assert not rows["val"] & rows["train"]
    assert not rows["test"] & rows["database"]
    statistics = dataset_statistics(index)
    assert statistics["images"] == {**counts.found, "val": 0, "total": 14}
    assert statistics["splits"]["database"]["images"] == 13
    assert statistics["overlap"] == {
        **{"train/val": 0, "train/test": 0, "database/test": 0, "val/test": 0}
    }


def test_the_list_of_the_database_must_be_the_database(tiny: Any, tmp_path: Path) -> None:
    root = hashnet_root(tiny, tmp_path / "coco")
    labelled = [image for image in read_source_images(find_layout(root)) if image.labelled]
    database = [f"{image.filepath}/{image.filename} 1" for image in labelled if image.cocoid != 100]
    write_lists(root, database=[*database, "train2014/not_here.jpg"])
    assert write("hashnet", root, tmp_path / "split.json").found["database"] == 9
    write_lists(root, database=database[1:])
    with pytest.raises(DataError, match=r"differ in 1 image.*0010\.jpg, which is not in the list"):
        write("hashnet", root, tmp_path / "split.json")
    write_lists(root, database=[*database, line(tiny, "val2014", 80)])
    with pytest.raises(DataError, match=r"differ in 1 image.*0080\.jpg, which has no label"):
        write("hashnet", root, tmp_path / "split.json")


LISTS: dict[str, tuple[dict[str, list[str]], str]] = {
    "in both": ({"train": ["val2014/a.jpg"], "test": ["val2014/a.jpg 1"]}, "both train and test"),
    "twice": ({"train": ["val2014/a.jpg"] * 2, "test": []}, r"val2014/a\.jpg occurs more than"),
    "no folder": ({"train": ["val2014/a.jpg", "b.jpg"], "test": []}, r"line 2, 'b\.jpg', is not"),
    "other labels": ({"train": ["val2014/a.jpg 2"], "test": []}, "line 1, "),
    "query in the database": (
        {"train": [], "test": ["val2014/a.jpg"], "database": ["val2014/a.jpg"]},
        "both database and test",
    ),
}


@pytest.mark.parametrize("case", LISTS)
def test_broken_lists_are_named(tmp_path: Path, case: str) -> None:
    lists, expected = LISTS[case]
    write_lists(tmp_path, **lists)
    with pytest.raises(DataError, match=expected) as caught:
        read_lists(tmp_path)
    assert str(tmp_path / "hashnet") in str(caught.value)
    assert "thuml/HashNet" in str(caught.value)


def test_without_lists_hashnet_is_refused(tiny_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.protocol = hashnet: .*train\.txt") as caught:
        write("hashnet", tiny_root, tmp_path / "split.json")
    assert "smhash download coco2014 --hashnet" in str(caught.value)
    assert not (tmp_path / "split.json").exists()


# Counts


def test_a_split_that_cannot_be_of_coco_is_refused(
    new_tiny: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (sum(FULL_KARPATHY.values()), FULL_KARPATHY["restval"]) == (123_287, 30_504)
    whole = {"train": 83, "restval": 30, "val": 5, "test": 5}
    monkeypatch.setattr(protocols, "FULL_KARPATHY", whole)

    def images(**counts: int) -> list[SplitImage]:
        names = [name for name, number in counts.items() for _ in range(number)]
        return [SplitImage(i, "val2014", f"{i}.jpg", name) for i, name in enumerate(names)]

    source = tmp_path / "karpathy_split.json"
    for counts in (
        whole | {"val": 4, "restval": 31},
        {"train": 10, "val": 6, "test": 10},
    ):
        write_split(source, images(**counts))
        with pytest.raises(DataError, match=r"not the karpathy split of COCO 2014: train "):
            write("karpathy", tmp_path, tmp_path / "out.json", whole=True)
    assert write("karpathy", tmp_path, tmp_path / "out.json").found == counts
    (tmp_path / "out.json").unlink()
    # some copies of Karpathy's file know no restval
    for counts in (whole, {"train": 113, "val": 5, "test": 5}):
        write_split(source, images(**counts))
        assert write("karpathy", tmp_path, tmp_path / "out.json", whole=True).found == counts


# The published lists


@pytest.fixture(scope="module")
def coco_images() -> tuple[SourceImage, ...]:
    """All 123,287 images; of those without a label the ids are made up, the counts are not."""
    with np.load(COCO / "labels80_trainval2014.npz", allow_pickle=False) as stored:
        ids, is_val = stored["ids"].tolist(), stored["is_val"].tolist()
    folders = {False: "train2014", True: "val2014"}
    known = [(one, folders[val], True) for one, val in zip(ids, is_val, strict=True)]
    bare = [("train2014", 702), ("val2014", 367)]
    made_up = [
        (1_000_000 * place + number, folder, False)
        for place, (folder, count) in enumerate(bare, start=1)
        for number in range(count)
    ]
    return tuple(
        sorted(
            SourceImage(one, folder, f"COCO_{folder}_{one:012d}.jpg", labelled)
            for one, folder, labelled in (*known, *made_up)
        )
    )


@real
def test_standard_on_the_real_images(coco_images: tuple[SourceImage, ...]) -> None:
    split = standard_split(coco_images, 5_000, 2014)
    counts = count_splits(image.split for image in split)
    assert counts == {"train": 77_783, "val": 5_000, "test": 40_504} == full_standard(5_000)
    assert len({image.cocoid for image in split}) == 123_287


@real
def test_hashnet_on_the_real_lists(coco_images: tuple[SourceImage, ...]) -> None:
    split = hashnet_split(coco_images, COCO, 5_000, 2014)
    counts = count_splits(image.split for image in split)
    assert counts == full_hashnet(5_000)
    assert counts["test"] == 5_000
    assert counts["train"] == 10_000
    assert counts["train"] + counts["database"] + counts["database_val"] == 117_218
    assert len({image.cocoid for image in split}) == 122_218
    lists = read_lists(COCO)
    for name, published in lists.items():
        assert {image.file_name for image in split if image.split == name} == set(published)


@real
def test_karpathy_on_the_real_lists(tmp_path: Path) -> None:
    folder = COCO / "karpathy"
    images = [
        SplitImage(int(number), "val2014", name.partition("/")[2], split)
        for split in ("val", "test")
        for name, number in (
            text.split() for text in (folder / f"karpathy_{split}_images.txt").open()
        )
    ]
    images += [
        SplitImage(int(text), "val2014", f"COCO_val2014_{int(text):012d}.jpg", "restval")
        for text in (folder / "restval_ids.txt").open()
    ]
    with gzip.open(folder / "train2014_labelled_ids.txt.gz", "rt") as stream:
        train = [int(text) for text in stream]
    assert len(train) == 82_783 - 702
    train += range(1_000_000, 1_000_702)  # those without a label, whose ids are not here
    images += [
        SplitImage(one, "train2014", f"COCO_train2014_{one:012d}.jpg", "train") for one in train
    ]
    write_split(tmp_path / "karpathy_split.json", images)
    counts = write("karpathy", tmp_path, tmp_path / "out.json", whole=True)
    assert counts.found == FULL_KARPATHY
    assert counts.found["train"] + counts.found["restval"] == 113_287
    assert counts.line() == "train 82,783, restval 30,504, val 5,000, test 5,000"


@pytest.mark.skipif(not (SHARED / "coco-mini").is_dir(), reason="coco-mini is not here")
def test_standard_on_real_photos(tmp_path: Path) -> None:
    counts = write("standard", SHARED / "coco-mini", tmp_path / "split.json", whole=True)
    assert counts.line() == "train 32 of 77,783, val 8 of 5,000, test 199 of 40,504"
