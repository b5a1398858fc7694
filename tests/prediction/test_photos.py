"""Reading a user's photos: a file that is no photo is refused, and never waited for."""

import os
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest
from PIL import Image

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.prediction.encoder import Encoder
from siglip2_multimodal_hash.prediction.photos import find_photos, read_photo


def test_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert find_photos([tmp_path]) == ([tmp_path / "pipe.jpg"], [])
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(DataError, match=f"{path}: not a regular file"):
            read_photo(path)


def test_a_link_to_a_photo_is_one(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "photo.png")
    (tmp_path / "link.png").symlink_to("photo.png")
    assert read_photo(tmp_path / "link.png").size == (3, 2)


OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")


@pytest.mark.skipif(
    not OVERCOMMIT.exists() or OVERCOMMIT.read_text().strip() == "1",
    reason="this system promises any amount of memory",
)
def test_a_file_larger_than_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "huge.jpg").open("wb") as stream:
        stream.truncate(2**43)  # no byte of it on the disk
    with pytest.raises(DataError, match=r"huge\.jpg: cannot be read \(larger than the memory"):
        read_photo(tmp_path / "huge.jpg")


def test_a_photo_that_needs_too_much_memory_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    class Towers:
        def preprocess(self, images: list[Image.Image]) -> Never:
            if images[0].width > 100:
                np.empty(2**50)
            raise DataError("read")

    for name, width in (("large.png", 120), ("small.png", 8)):
        Image.new("RGB", (width, 50)).save(tmp_path / name)
    paths = [tmp_path / "large.png", tmp_path / "small.png"]
    towers: Any = Towers()
    unused: Any = None
    found = Encoder(towers, unused, np.dtype("float32")).embed_photos(paths, 2)
    assert found.failures == (
        f"{paths[0]}: out of memory with this image of 120 x 50 pixels",
        "read",
    )
