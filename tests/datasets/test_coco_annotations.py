"""Reading and checking COCO's annotation files: each broken rule names the file and the id."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.annotations import Annotations, read_annotations
from siglip2_multimodal_hash.datasets.layout import find_layout
from siglip2_multimodal_hash.errors import DataError

Edit = Callable[[Any], object]


def read(tiny: Any, root: Path) -> Annotations:
    return read_annotations(find_layout(tiny.write(root)))


def test_reads_both_years_in_ascending_order(
    tiny: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(tiny, tmp_path)
    assert found.image_ids.tolist() == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert found.image_ids.dtype == np.int64
    assert found.file_names[:2] == (
        "train2014/COCO_train2014_000000000010.jpg",
        "val2014/COCO_val2014_000000000020.jpg",
    )
    assert set(found.widths.tolist()) == {8}
    assert found.heights.dtype == np.int32
    assert found.captions[1] == ("1 of 20", "2 of 20")
    assert found.category_ids == (1, 5, 18)
    assert found.category_names == ("person", "airplane", "dog")
    assert found.labels.dtype == np.uint8
    assert found.labels.tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [1, 1, 0],
        [1, 0, 0],
        [0, 0, 0],
        [0, 0, 1],
        [0, 0, 1],
        [0, 0, 0],
        [1, 1, 1],
        [0, 1, 0],
    ]
    assert capsys.readouterr().out == ""


def test_crowds_repeats_and_image_level_entries_are_labels(tiny: Any, tmp_path: Path) -> None:
    tiny.instances["val2014"]["annotations"] += [
        {"id": 1, "image_id": 80, "category_id": 5, "iscrowd": 1, "segmentation": {"counts": [1]}},
        {"id": 2, "image_id": 80, "category_id": 18, "image_level": True},
        {"id": 3, "image_id": 80, "category_id": 18, "image_level": True},
    ]
    found = read(tiny, tmp_path)
    assert found.labels[7].tolist() == [0, 1, 1]
    assert found.crowds == 1


def test_captions_keep_their_text(tiny: Any, tmp_path: Path) -> None:
    tiny.captions["val2014"]["annotations"][1]["caption"] = " Ein Hund läuft.\n"
    assert read(tiny, tmp_path).captions[1] == (" Ein Hund läuft.\n", "2 of 20")


def test_the_order_of_records_has_no_effect(tiny: Any, tmp_path: Path) -> None:
    first = read(tiny, tmp_path / "first")
    for content in (*tiny.instances.values(), *tiny.captions.values()):
        for records in content.values():
            if isinstance(records, list):
                random.Random(0).shuffle(records)
    second = read(tiny, tmp_path / "second")
    assert np.array_equal(first.labels, second.labels)
    assert (first.file_names, first.captions) == (second.file_names, second.captions)


INSTANCES: dict[str, tuple[Edit, list[str]]] = {
    "no images": (lambda one: one.pop("images"), ["no key 'images'"]),
    "no annotations": (lambda one: one.pop("annotations"), ["no key 'annotations'"]),
    "no categories": (lambda one: one.pop("categories"), ["no key 'categories'"]),
    "images no list": (lambda one: one.update(images={"id": 1}), ["images is not a list"]),
    "record no object": (
        lambda one: one["annotations"].insert(1, 7),
        ["annotations[1] is not an object"],
    ),
    "image without id": (
        lambda one: one["images"][2].pop("id"),
        ["images[2]", "no key 'id'"],
    ),
    "image without name": (
        lambda one: one["images"][0].pop("file_name"),
        ["images[0]", "id 20", "no key 'file_name'"],
    ),
    "annotation without image_id": (
        lambda one: one["annotations"][0].pop("image_id"),
        ["annotations[0]", "id 1000", "no key 'image_id'"],
    ),
    "annotation without category_id": (
        lambda one: one["annotations"][3].pop("category_id"),
        ["annotations[3]", "id 1003", "no key 'category_id'"],
    ),
    "id is text": (
        lambda one: one["images"][0].update(id="20"),
        ["images[0]", "id = '20' is not a whole number"],
    ),
    "id is a truth value": (
        lambda one: one["images"][0].update(id=True),
        ["images[0]", "id = True is not a whole number"],
    ),
    "id too large": (
        lambda one: one["images"][0].update(id=2**63),
        ["id = 9223372036854775808 is not a whole number"],
    ),
    "duplicate image": (
        lambda one: one["images"].append(dict(one["images"][0], file_name="other.jpg")),
        ["image id 20 occurs more than once"],
    ),
    "duplicate name": (
        lambda one: one["images"][1].update(file_name=one["images"][0]["file_name"]),
        ["file_name 'COCO_val2014_000000000020.jpg' occurs more than once"],
    ),
    "duplicate annotation": (
        lambda one: one["annotations"][1].update(id=1000),
        ["annotation id 1000 occurs more than once"],
    ),
    "duplicate category": (
        lambda one: one["categories"].append({"id": 18, "name": "cat"}),
        ["category id 18 occurs more than once"],
    ),
    "duplicate category name": (
        lambda one: one["categories"].append({"id": 19, "name": "dog"}),
        ["category name 'dog' occurs more than once"],
    ),
    "no category at all": (
        lambda one: one.update(categories=[], annotations=[]),
        ["categories is empty"],
    ),
    "nameless category": (
        lambda one: one["categories"][0].update(name=" "),
        ["holds an empty name"],
    ),
    "unknown category": (
        lambda one: one["annotations"][0].update(category_id=12),
        ["annotation id 1000", "category_id 12 is not among the 3 categories"],
    ),
    "annotation of no image": (
        lambda one: one["annotations"][0].update(image_id=99),
        ["annotation id 1000 is about image id 99", "not among the images"],
    ),
    "width is zero": (
        lambda one: one["images"][0].update(width=0),
        ["image id 20", "width = 0 is not a positive size"],
    ),
    "height is negative": (
        lambda one: one["images"][0].update(height=-6),
        ["id 20", "height = -6"],
    ),
    "width is a fraction": (
        lambda one: one["images"][0].update(width=8.5),
        ["id 20", "width = 8.5 is not a whole number"],
    ),
    "width beyond int32": (
        lambda one: one["images"][0].update(width=2**31),
        ["image id 20", "width = 2147483648"],
    ),
    "absolute name": (
        lambda one: one["images"][0].update(file_name="/etc/passwd"),
        ["image id 20", "'/etc/passwd' is not a plain file name"],
    ),
    "name that climbs": (
        lambda one: one["images"][0].update(file_name="../../x.jpg"),
        ["image id 20", "'../../x.jpg' is not a plain file name"],
    ),
    "name with a backslash": (
        lambda one: one["images"][0].update(file_name="..\\x.jpg"),
        ["image id 20", repr("..\\x.jpg")],
    ),
    "name with NUL": (
        lambda one: one["images"][0].update(file_name="x\0.jpg"),
        ["image id 20", repr("x\0.jpg")],
    ),
    "name with a drive": (
        lambda one: one["images"][0].update(file_name="C:x.jpg"),
        ["image id 20", "'C:x.jpg'"],
    ),
    "name with a separator": (
        lambda one: one["images"][0].update(file_name="val2014/x.jpg"),
        ["image id 20", "'val2014/x.jpg'"],
    ),
}

CAPTIONS: dict[str, tuple[Edit, list[str]]] = {
    "no annotations": (lambda one: one.pop("annotations"), ["no key 'annotations'"]),
    "no text": (
        lambda one: one["annotations"][0].pop("caption"),
        ["annotations[0]", "id 202", "no key 'caption'"],
    ),
    "text is no text": (
        lambda one: one["annotations"][0].update(caption=5),
        ["id 202", "caption = 5 is not valid text"],
    ),
    "text is no Unicode": (
        lambda one: one["annotations"][0].update(caption="\ud800"),
        ["id 202", "is not valid text"],
    ),
    "empty text": (
        lambda one: one["annotations"][0].update(caption=" \n"),
        ["caption id 202 of image id 20 is empty"],
    ),
    "duplicate caption": (
        lambda one: one["annotations"][1].update(id=202),
        ["caption id 202 occurs more than once"],
    ),
    "caption of no image": (
        lambda one: one["annotations"][0].update(image_id=99),
        ["caption id 202 is about image id 99"],
    ),
    "image without caption": (
        lambda one: one.update(annotations=one["annotations"][4:]),
        ["2 image(s) without a caption", "image id 20, image id 40"],
    ),
}


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        *(("instances", case) for case in INSTANCES),
        *(("captions", case) for case in CAPTIONS),
    ],
)
def test_a_broken_rule_names_file_and_record(
    tiny: Any, tmp_path: Path, kind: str, case: str
) -> None:
    edit, expected = (INSTANCES if kind == "instances" else CAPTIONS)[case]
    edit(getattr(tiny, kind)["val2014"])
    with pytest.raises(DataError) as caught:
        read(tiny, tmp_path)
    message = str(caught.value)
    for part in (str(tmp_path / "annotations" / f"{kind}_val2014.json"), *expected, "\n  -> "):
        assert part in message


DAMAGED: dict[str, tuple[bytes, str]] = {
    "truncated": (b'{"images": [{"id": 1', "not valid JSON"),
    "empty": (b"", "not valid JSON"),
    "no text": (b"\xff\xfe\x00", "not valid JSON"),
    "a list": (b"[]", "the top level is not an object"),
    "nested without end": (b"[" * 200_000, "not valid JSON"),
    "an endless number": (b'{"images": ' + b"1" * 5000 + b"}", "not valid JSON"),
}


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("kind", ["instances", "captions"])
def test_a_damaged_file_is_named(tiny_root: Path, kind: str, case: str) -> None:
    data, expected = DAMAGED[case]
    path = tiny_root / "annotations" / f"{kind}_train2014.json"
    path.write_bytes(data)
    with pytest.raises(DataError, match=expected) as caught:
        read_annotations(find_layout(tiny_root))
    assert str(path) in str(caught.value)
    assert "fetch it again" in str(caught.value)


def test_a_file_that_vanished_or_is_no_file_is_named(tiny_root: Path) -> None:
    layout = find_layout(tiny_root)
    path = layout.captions["val2014"]
    path.unlink()
    with pytest.raises(DataError, match=r"captions_val2014\.json: no such file"):
        read_annotations(layout)
    path.mkdir()
    with pytest.raises(DataError, match=r"captions_val2014\.json: cannot be read"):
        read_annotations(layout)


def test_an_image_id_in_both_years_is_refused(tiny: Any, tmp_path: Path) -> None:
    for content in (tiny.instances, tiny.captions):
        for records in content["val2014"].values():
            for record in records:
                if record.get("image_id", record["id"]) == 20:
                    record["image_id" if "image_id" in record else "id"] = 10
    with pytest.raises(DataError, match=r"both hold 1 image id\(s\), the first: 10") as caught:
        read(tiny, tmp_path)
    assert "instances_train2014.json" in str(caught.value)
    assert "instances_val2014.json" in str(caught.value)


def test_the_years_must_agree_on_categories(tiny: Any, tmp_path: Path) -> None:
    tiny.instances["val2014"]["categories"][0]["name"] = "cat"
    with pytest.raises(DataError, match="category id 18 is 'dog' and 'cat'"):
        read(tiny, tmp_path)
    tiny.instances["val2014"]["categories"][0]["name"] = "dog"
    tiny.instances["train2014"]["categories"].append({"id": 90, "name": "toothbrush"})
    with pytest.raises(DataError, match="category id 90 is 'toothbrush' and None"):
        read(tiny, tmp_path / "other")


def test_instances_and_captions_must_be_about_the_same_images(tiny: Any, tmp_path: Path) -> None:
    tiny.captions["val2014"]["images"][0]["file_name"] = "other.jpg"
    with pytest.raises(DataError, match=r"image id 20: file_name is 'COCO_val.*'other\.jpg'"):
        read(tiny, tmp_path / "name")
    tiny.instances["val2014"]["images"].append(
        {"id": 7, "file_name": "x.jpg", "width": 1, "height": 1}
    )
    with pytest.raises(DataError, match=r"1 are in one only.*image id 7, in instances_val2014"):
        read(tiny, tmp_path / "image")


def test_fields_that_no_stage_needs_may_be_absent_or_odd(tiny: Any, tmp_path: Path) -> None:
    tiny.captions["val2014"]["categories"] = "none"
    tiny.instances["val2014"]["annotations"][0] = {"id": 1, "image_id": 20, "category_id": 5}
    assert read(tiny, tmp_path).labels[1].tolist() == [0, 1, 0]


def test_json_with_any_key_order_and_repeats_parses(tiny_root: Path) -> None:
    path = tiny_root / "annotations" / "captions_train2014.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items())), indent=1, ensure_ascii=False))
    assert len(read_annotations(find_layout(tiny_root)).captions) == 10
