"""Karpathy's split: reading, checking, and the normalised file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.datasets.protocols import read_karpathy_split, write_protocol_split
from siglip2_multimodal_hash.datasets.split_file import SplitImage, read_split, write_split
from siglip2_multimodal_hash.errors import DataError


def normalise(root: Path, target: Path) -> dict[str, int]:
    """Write the split of the source at ``root``; the counts."""
    counts = write_protocol_split("karpathy", root, target, val_images=1, seed=0, whole_coco=False)
    return dict(counts.found)


def test_reads_in_ascending_cocoid(tiny_root: Path) -> None:
    images = read_karpathy_split(tiny_root / "karpathy_split.json")
    assert [image.cocoid for image in images] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert images[1] == SplitImage(20, "val2014", "COCO_val2014_000000000020.jpg", "restval")
    assert images[1].file_name == "val2014/COCO_val2014_000000000020.jpg"


def test_normalised_file_is_minimal_and_sorted(tiny_root: Path, tmp_path: Path) -> None:
    source, target = tiny_root / "karpathy_split.json", tmp_path / "out" / "split.json"
    counts = normalise(tiny_root, target)
    assert counts == {"train": 4, "restval": 2, "val": 2, "test": 2}
    content = json.loads(target.read_text())
    assert list(content) == ["images"]
    assert [one["cocoid"] for one in content["images"]] == list(range(10, 101, 10))
    assert set(content["images"][0]) == {"cocoid", "filepath", "filename", "split"}
    assert read_split(target) == read_karpathy_split(source)
    again = tmp_path / "again.json"
    write_split(again, read_split(target))
    assert again.read_bytes() == target.read_bytes()


@settings(max_examples=25)
@given(data=st.data())
def test_bytes_do_not_depend_on_the_order(
    data: st.DataObject, new_tiny: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    images = [
        SplitImage(**{key: one[key] for key in SplitImage._fields})
        for one in new_tiny().split["images"]
    ]
    write_split(folder / "a.json", images)
    write_split(folder / "b.json", data.draw(st.permutations(images)))
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()


CASES: dict[str, tuple[Callable[[Any], object], list[str]]] = {
    "unknown split": (
        lambda images: images[0].update(split="dev"),
        ["cocoid 10", "split 'dev' is unknown", "train, restval, val, test"],
    ),
    "unknown folder": (
        lambda images: images[0].update(filepath="../val2014"),
        ["cocoid 10", "filepath '../val2014' is unknown"],
    ),
    "unsafe name": (
        lambda images: images[0].update(filename="/etc/passwd"),
        ["cocoid 10", "filename '/etc/passwd' is not a plain file name"],
    ),
    "duplicate": (
        lambda images: images.append(dict(images[0], split="test")),
        ["cocoid 10 occurs more than once"],
    ),
    "no cocoid": (
        lambda images: images[3].pop("cocoid"),
        ["images[3]", "no key 'cocoid'"],
    ),
    "cocoid is text": (
        lambda images: images[3].update(cocoid="70"),
        ["images[3]", "cocoid = '70' is not a whole number"],
    ),
    "no split": (
        lambda images: images[3].pop("split"),
        ["images[3]", "cocoid 70", "no key 'split'"],
    ),
    "split is empty": (
        lambda images: [one.update(split="train") for one in images if one["split"] == "test"],
        ["no image is in split test"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_rule_names_file_and_image(tiny: Any, tmp_path: Path, case: str) -> None:
    edit, expected = CASES[case]
    edit(tiny.split["images"])
    tiny.write_json(tmp_path)
    source, target = tmp_path / "karpathy_split.json", tmp_path / "out.json"
    with pytest.raises(DataError) as caught:
        normalise(tmp_path, target)
    for part in (str(source), *expected, "fetch"):
        assert part in str(caught.value)
    assert not target.exists()


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text('{"images": [{"cocoid"')
    with pytest.raises(DataError, match=r"split\.json: not valid JSON"):
        read_karpathy_split(path)
    path.write_text('{"pictures": []}')
    with pytest.raises(DataError, match=r"split\.json: no key 'images'"):
        read_karpathy_split(path)


def test_restval_may_be_empty(tiny: Any, tmp_path: Path) -> None:
    for one in tiny.split["images"]:
        one["split"] = one["split"].replace("restval", "train")
    tiny.write_json(tmp_path)
    assert normalise(tmp_path, tmp_path / "out.json") == {"train": 6, "val": 2, "test": 2}
