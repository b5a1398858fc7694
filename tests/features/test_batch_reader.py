"""The reader: order, threads, bad images, and equal texts read once."""

import pickle
import threading
import time
import zipfile
from pathlib import Path
from typing import Never

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.preprocessing import ImagePreprocessor, Inputs, Tokenizer
from siglip2_multimodal_hash.features.reader import (
    Batch,
    ImageReader,
    TextReader,
    read_batches,
    unreadable,
)
from tests.features.tiny import Pictures, open_archive


def widths(images: Pictures, return_tensors: str) -> Inputs:
    """Stands for an image processor: each image's width, so that order shows."""
    return {"pixel_values": torch.tensor([image.width for image in images])}


def lengths(texts: list[str], **_: object) -> Inputs:
    """Stands for a tokenizer."""
    return {"input_ids": torch.tensor([[len(text)] for text in texts])}


PREPROCESS, TOKENIZE = ImagePreprocessor(widths, None), Tokenizer(lengths, 64)


class NumberedRows:
    """Stands for a reader: batch i fills row i, every other one after a pause."""

    def __init__(self, batches: int, pause: float = 0) -> None:
        self.batches, self.pause, self.read = batches, pause, 0

    def __len__(self) -> int:
        return self.batches

    def rows_before(self, number: int) -> int:
        return number

    def __getitem__(self, number: int) -> Batch:
        self.read += 1
        time.sleep(self.pause * (number % 2 == 0))
        return Batch({}, np.array([number]), np.array([0]))


def inputs_of(batch: Batch) -> Inputs:
    assert batch.inputs is not None
    return batch.inputs


@pytest.fixture
def names(index: DatasetIndex) -> list[str]:
    return index.frame["file_name"].tolist()


@pytest.fixture
def reader(archive: Path, names: list[str]) -> ImageReader:
    return ImageReader(open_archive(archive), names, PREPROCESS, 5)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_all_images_in_order(reader: ImageReader, pictures: Pictures, workers: int) -> None:
    batches = list(read_batches(reader, workers))
    assert [len(batch.rows) for batch in batches] == [5, 5, 2]
    assert len(reader) == 3
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(12))
    found = torch.cat([inputs_of(batch)["pixel_values"] for batch in batches]).tolist()
    assert found == [picture.width for picture in pictures]


def test_pickled_reader_reads_the_same(reader: ImageReader) -> None:
    copy = pickle.loads(pickle.dumps(reader))
    for number in range(len(reader)):
        expected, batch = inputs_of(reader[number]), inputs_of(copy[number])
        assert torch.equal(expected["pixel_values"], batch["pixel_values"])


def test_order_holds_when_a_later_batch_is_ready_first() -> None:
    batches = read_batches(NumberedRows(8, pause=0.02), 4)
    assert [int(batch.rows[0]) for batch in batches] == list(range(8))


def test_reads_ahead_only_a_few_batches() -> None:
    reader = NumberedRows(100)
    batches = read_batches(reader, 2)
    next(batches)
    time.sleep(0.05)
    assert reader.read <= 5
    batches.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("reader")]


def test_bad_images_are_all_found_and_counted(archive: Path, names: list[str]) -> None:
    damaged = archive.with_name("damaged.zip")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(damaged, "w") as target:
        for member in source.namelist():
            data = source.read(member)
            if member.endswith("003.jpg"):
                data = data[: len(data) // 2]
            elif member.endswith("011.jpg"):
                data = b"no image"
            target.writestr(member, data)
    reader = ImageReader(open_archive(damaged), [*names, "val2014/gone.jpg"], PREPROCESS, 5)
    batches = list(read_batches(reader, 2))
    assert [batch.inputs is None for batch in batches] == [True, False, True]
    failures = [failure for batch in batches for failure in batch.failures]
    assert len(failures) == 3
    message = str(unreadable(failures))
    assert "3 of the images cannot be read" in message
    for name, reason in (("003.jpg", "truncated"), ("011.jpg", "no known"), ("gone.jpg", "member")):
        (line,) = [line for line in message.splitlines() if name in line]
        assert reason in line


def test_only_ten_failures_are_listed() -> None:
    message = str(unreadable([f"{number}.jpg: bad" for number in range(25)]))
    assert "25 of the images" in message
    assert message.count(".jpg: bad") == 10
    assert "and 15 more" in message


def test_errors_that_are_no_damage_come_through(archive: Path, names: list[str]) -> None:
    def broken(images: Pictures, return_tensors: str) -> Never:
        raise RuntimeError("a defect")

    reader = ImageReader(open_archive(archive), names, ImagePreprocessor(broken, None), 5)
    with pytest.raises(RuntimeError, match="a defect"):
        list(read_batches(reader, 2))


def test_out_of_memory_names_the_largest_image(tmp_path: Path) -> None:
    sizes = {"wide.png": (90, 2), "large.png": (20, 30), "small.png": (4, 4)}
    with zipfile.ZipFile(tmp_path / "val2014.zip", "w") as target:
        for name, size in sizes.items():
            with target.open(f"val2014/{name}", "w") as stream:
                Image.new("RGB", size).save(stream, "PNG")
    names = [f"val2014/{name}" for name in sizes]
    hungry = ImagePreprocessor(lambda **_: np.empty(2**50), None)
    reader = ImageReader(open_archive(tmp_path / "val2014.zip"), names, hungry, 3)
    with pytest.raises(InputError, match=r"large\.png: out of memory .* of 20 x 30 pixels"):
        list(read_batches(reader, 2))


def test_equal_texts_are_read_once() -> None:
    reader = TextReader(["a cat", "two dogs", "A CAT", "zebra", "two dogs"], TOKENIZE, 2)
    assert reader.distinct == ["a cat", "two dogs", "zebra"]
    first, second = (reader[number] for number in range(len(reader)))
    assert first.rows.tolist() == [0, 2, 1, 4]
    assert first.items.tolist() == [0, 0, 1, 1]
    assert second.rows.tolist() == [3]
    assert inputs_of(second)["input_ids"].tolist() == [[5]]


@given(st.lists(st.sampled_from(["a", "A ", "bb", "ccc", "dddd", "eeeee"]), min_size=1), st.data())
def test_every_row_gets_its_own_text(texts: list[str], data: st.DataObject) -> None:
    reader = TextReader(texts, TOKENIZE, data.draw(st.integers(1, 7)))
    found = np.full(len(texts), -1)
    for batch in read_batches(reader, 0):
        assert (found[batch.rows] == -1).all()
        found[batch.rows] = inputs_of(batch)["input_ids"][:, 0].numpy()[batch.items]
    assert found.tolist() == [len(text.lower()) for text in texts]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_starts_at_any_batch_with_the_same_boundaries(
    reader: ImageReader, workers: int, start: int
) -> None:
    batches = list(read_batches(reader, workers, start=start))
    assert [batch.rows.tolist() for batch in batches] == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
        [10, 11],
    ][start:]
    assert [reader.rows_before(number) for number in range(4)] == [0, 5, 10, 12]


def test_rows_before_a_batch_of_texts_count_the_repeated_ones() -> None:
    reader = TextReader(["a cat", "two dogs", "A CAT", "zebra", "two dogs"], TOKENIZE, 2)
    assert [reader.rows_before(number) for number in range(3)] == [0, 4, 5]
