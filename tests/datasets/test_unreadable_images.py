"""Damaged images are left out of the index where that is asked for, and of nothing else."""

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.datasets.index import DatasetIndex, read_index, write_index
from siglip2_multimodal_hash.datasets.index_builder import (
    find_unreadable,
    index_source,
    leave_out_unreadable,
)
from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.errors import DataError

BAD = (30, 40, 80)


def in_mode(mode: str) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (8, 6)).save(stream, "JPEG")
    return stream.getvalue()


def damage(tiny: Any, root: Path) -> None:
    """Truncated, empty and no image; the grey and the CMYK one are fine."""
    contents = {
        ("train2014", 30): tiny.jpeg(30)[:-40],
        ("val2014", 40): b"",
        ("val2014", 80): b"<html>404</html>",
        ("train2014", 10): in_mode("L"),
        ("val2014", 20): in_mode("CMYK"),
    }
    for (folder, number), data in contents.items():
        (root / "images" / folder / tiny.name(folder, number)).write_bytes(data)


def build(root: Path) -> DatasetIndex:
    describe_source(root)
    return index_source(root, root, root / "karpathy_split.json", "keep")[0]


@pytest.fixture
def damaged(tiny: Any, tiny_root: Path) -> tuple[Path, DatasetIndex]:
    damage(tiny, tiny_root)
    return tiny_root, build(tiny_root)


@pytest.mark.parametrize("workers", [0, 2])
def test_all_damaged_images_are_left_out_and_counted(
    damaged: tuple[Path, DatasetIndex], workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    root, index = damaged
    kept = leave_out_unreadable(index, open_image_source(root), workers)
    ids = index.frame["image_id"]
    assert kept.frame["image_id"].tolist() == [one for one in ids if one not in BAD]
    assert kept.frame.index.tolist() == list(range(7))
    assert kept.captions()[2:4] == ["1 of 20", "2 of 20"]
    assert kept.labels().tolist() == index.labels()[~ids.isin(BAD)].tolist()
    *each, total = (record.message for record in caplog.records)
    assert total == ("left out: 3 of 10 images, which cannot be read (train 1, restval 1, val 1)")
    for line, number, reason in zip(each, BAD, ("truncated", "no known", "no known"), strict=True):
        assert f"{number:012d}.jpg" in line
        assert reason in line


def test_the_smaller_index_is_one_like_any_other(
    damaged: tuple[Path, DatasetIndex], tmp_path: Path
) -> None:
    root, index = damaged
    kept = leave_out_unreadable(index, open_image_source(root), 2)
    write_index(tmp_path / "index.parquet", kept)
    again = read_index(tmp_path / "index.parquet")
    assert again.frame["file_name"].tolist() == kept.frame["file_name"].tolist()
    assert again.rows("val").tolist() == [3]
    assert np.array_equal(again.labels(), kept.labels())


def test_an_index_of_sound_images_stays_as_it_is(
    tiny_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    index = build(tiny_root)
    assert leave_out_unreadable(index, open_image_source(tiny_root), 2) is index
    assert caplog.messages[-1] == "all 10 images can be read"


def test_images_in_an_archive_are_found_by_threads_as_without(
    new_tiny: Callable[[], Any], tmp_path: Path
) -> None:
    tiny = new_tiny()
    sound = tiny.jpeg
    tiny.jpeg = lambda number: b"no image" if number in BAD else sound(number)
    root = tiny.write(tmp_path / "coco", "zip")
    names = build(root).frame["file_name"].tolist()
    found = [find_unreadable(open_image_source(root), names, workers) for workers in (0, 1, 3)]
    assert found[0] == found[1] == found[2]
    assert [int(name[-7:-4]) for name in found[0]] == list(BAD)


def test_no_image_left_in_a_split_is_refused(tiny: Any, tiny_root: Path) -> None:
    for number in (60, 80):
        (tiny_root / "images/val2014" / tiny.name("val2014", number)).write_bytes(b"")
    index = build(tiny_root)
    with pytest.raises(DataError, match=r"no image is left in split val\n.*fetch"):
        leave_out_unreadable(index, open_image_source(tiny_root), 0)
