"""The files of embeddings: written in batches, loaded and checked, captions by policy."""

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.arrays import Rows, save_array
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.features.writer import ArrayWriter
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.params import StoreDtype


def rows(*numbers: int) -> Rows:
    return np.array(numbers, dtype=np.int64)


def test_batches_fill_the_array_in_any_order(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path / "image.npy", 3)
    writer.write(rows(2, 0), np.array([[5, 6], [1, 2]], dtype=np.float32))
    writer.write(rows(1), np.array([[3, 4]], dtype=np.float32))
    writer.flush()
    array = np.load(tmp_path / "image.npy", allow_pickle=False)
    assert array.dtype == np.float32
    assert array.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert (writer.rows, writer.width) == (3, 2)


def test_pickled_writer_goes_on_in_the_same_file(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path / "image.npy", 2)
    writer.write(rows(0), np.ones((1, 2), np.float32))
    copy = pickle.loads(pickle.dumps(writer))
    copy.write(rows(1), np.full((1, 2), 2, np.float32))
    copy.flush()
    assert np.load(tmp_path / "image.npy").tolist() == [[1, 1], [2, 2]]


def test_a_reopened_file_keeps_its_rows(tmp_path: Path) -> None:
    ArrayWriter(tmp_path / "image.npy", 2).write(rows(0), np.ones((1, 2), np.float32))
    again = ArrayWriter.reopen(tmp_path / "image.npy", 2)
    assert again.width == 2
    again.write(rows(1), np.full((1, 2), 2, np.float32))
    again.flush()
    assert np.load(tmp_path / "image.npy").tolist() == [[1, 1], [2, 2]]


@pytest.mark.parametrize("bytes_left", [0, 7, 60, 128, 143])
def test_a_truncated_file_is_not_reopened(tmp_path: Path, bytes_left: int) -> None:
    path = tmp_path / "image.npy"
    save_array(path, np.ones((2, 2), np.float32))
    assert path.stat().st_size == 144
    path.write_bytes(path.read_bytes()[:bytes_left])
    with pytest.raises(DataError, match=r"image\.npy"):
        ArrayWriter.reopen(path, 2)


def test_a_file_of_another_size_or_type_is_not_reopened(tmp_path: Path) -> None:
    path = tmp_path / "image.npy"
    for array in (np.ones((3, 2), np.float32), np.ones(2, np.float32), np.ones((2, 2))):
        save_array(path, array)
        with pytest.raises(DataError, match="expected 2 rows"):
            ArrayWriter.reopen(path, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_a_number_is_refused_with_its_row(tmp_path: Path, value: float) -> None:
    features = np.ones((2, 3), np.float32)
    features[1, 2] = value
    writer = ArrayWriter(tmp_path / "caption.npy", 9)
    with pytest.raises(DataError, match=r"caption\.npy.*row 7\n.*amp_dtype"):
        writer.write(rows(4, 7), features)


def test_half_precision_takes_half_the_room_and_rounds_to_the_nearest(tmp_path: Path) -> None:
    values = np.array([[1, 0.1, -65504, 1 + 2**-11, 1 + 2**-10]], dtype=np.float32)
    for dtype in ("float32", "float16"):
        writer = ArrayWriter(tmp_path / f"{dtype}.npy", 1, dtype)
        writer.write(rows(0), values)
        writer.flush()
    single, half = (np.load(tmp_path / f"{dtype}.npy") for dtype in ("float32", "float16"))
    assert (single.nbytes, half.nbytes) == (20, 10)
    assert single.tolist() == values.tolist()
    # 11 bits: 0.1 is 1638 * 2^-14 = 0.099976, and 1 + 2^-11 lies halfway, so it goes to the even.
    assert half.astype(np.float64).tolist() == [[1, 1638 / 2**14, -65504, 1, 1 + 2**-10]]


@pytest.mark.parametrize("value", [65505, -7e4, 3e38])
def test_what_half_precision_cannot_hold_is_refused_with_its_row(
    tmp_path: Path, value: float
) -> None:
    features = np.array([[1, 2], [3, value]], np.float32)
    writer = ArrayWriter(tmp_path / "image.npy", 9, "float16")
    with pytest.raises(DataError, match=r"image\.npy: row 7 .*float16 ends at 65504\n") as caught:
        writer.write(rows(4, 7), features)
    assert f"{abs(value):.6g}" in str(caught.value)
    assert "set backbone.store_dtype to float32" in str(caught.value)
    assert not (tmp_path / "image.npy").exists()
    ArrayWriter(tmp_path / "image.npy", 9).write(rows(4, 7), features)


@pytest.mark.parametrize(("stored", "asked"), [("float16", "float32"), ("float32", "float16")])
def test_a_file_of_the_other_precision_is_not_reopened(
    tmp_path: Path, stored: StoreDtype, asked: StoreDtype
) -> None:
    path = tmp_path / "image.npy"
    save_array(path, np.ones((2, 2), stored))
    with pytest.raises(DataError, match=f"{stored} .*expected 2 rows of {asked}"):
        ArrayWriter.reopen(path, 2, asked)
    assert ArrayWriter.reopen(path, 2, stored).width == 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images of 3 dimensions; three captions and two classes of 2."""
    save_array(tmp_path / store.IMAGE, np.arange(6, dtype=np.float32).reshape(2, 3))
    save_array(tmp_path / store.CAPTION, np.array([[1, 5], [3, 1], [8, 8]], dtype=np.float32))
    save_array(tmp_path / store.OFFSETS, rows(0, 2, 3))
    save_array(tmp_path / store.PROMPT, np.eye(2, dtype=np.float32))
    write_json(tmp_path / store.META, {"checkpoint": "tiny"})
    return tmp_path


def test_load(folder: Path) -> None:
    embeddings = load_embeddings(folder)
    assert embeddings.image.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert embeddings.meta == {"checkpoint": "tiny"}
    assert isinstance(embeddings.image, np.memmap)
    embeddings.check_finite()


def test_what_is_stored_in_half_the_room_stays_in_its_file(folder: Path) -> None:
    single = load_embeddings(folder)
    for name in (store.IMAGE, store.CAPTION):
        save_array(folder / name, np.load(folder / name).astype(np.float16))
    half = load_embeddings(folder)
    for name in ("image", "caption"):
        array = getattr(half, name)
        assert isinstance(array, np.memmap)
        assert array.dtype == np.float16
    assert half.prompt.dtype == np.float32
    for policy in ("first", "mean"):
        found = half.captions_by_policy(policy)
        assert found.dtype == np.float32
        # Small integers are exact.
        assert found.tolist() == single.captions_by_policy(policy).tolist()
    half.check_finite()


def test_captions_by_policy(folder: Path) -> None:
    embeddings = load_embeddings(folder)
    assert embeddings.captions_by_policy("first").tolist() == [[1, 5], [8, 8]]
    means = embeddings.captions_by_policy("mean")
    assert means.tolist() == [[2, 3], [8, 8]]  # (1 + 3) / 2, (5 + 1) / 2
    assert means.dtype == np.float32


def test_mean_over_many_images_equals_the_formula() -> None:
    generator = np.random.default_rng(0)
    images = store.CHUNK + 50
    counts = generator.integers(1, 8, images)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    captions = generator.normal(size=(offsets[-1], 4)).astype(np.float32)
    image = np.zeros((images, 1), np.float32)
    embeddings = Embeddings(image, captions, offsets, captions[:3], {})
    expected = [
        captions[begin:end].astype(np.float64).mean(axis=0) for begin, end in pairwise(offsets)
    ]
    np.testing.assert_allclose(embeddings.captions_by_policy("mean"), expected, rtol=1e-6)


@pytest.mark.parametrize("name", [store.IMAGE, store.CAPTION, store.PROMPT])
def test_check_finite_names_file_and_row(folder: Path, name: str) -> None:
    array = np.load(folder / name)
    array[1, 0] = np.nan
    save_array(folder / name, array)
    with pytest.raises(DataError, match=rf"{name}: row 1 "):
        load_embeddings(folder).check_finite()


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        (store.IMAGE, np.zeros((3, 3), np.float32), "3 images and 3 captions do not fit 3 offsets"),
        (store.IMAGE, np.zeros((2, 3), np.float64), "float64"),
        (store.IMAGE, np.zeros(2, np.float32), r"float32 \[2\]"),
        (store.CAPTION, np.zeros((4, 2), np.float32), "4 captions do not fit"),
        (store.OFFSETS, rows(1, 2, 3), "do not fit"),
        (store.OFFSETS, rows(0, 3), "do not fit"),
        (store.OFFSETS, rows(0, 3, 3), "an image has no caption"),
        (store.OFFSETS, np.array([0.0, 2.0, 3.0]), "float64, expected int64"),
        (store.PROMPT, np.zeros((2, 5), np.float32), "captions have 2 dimensions, prompts 5"),
    ],
)
def test_arrays_that_do_not_belong_together(
    folder: Path, name: str, array: npt.NDArray[Any], reason: str
) -> None:
    save_array(folder / name, array)
    with pytest.raises(DataError, match=reason) as caught:
        load_embeddings(folder)
    assert str(folder) in str(caught.value)
    assert "dvc repro" in str(caught.value)


@pytest.mark.parametrize(
    "name", [store.IMAGE, store.CAPTION, store.OFFSETS, store.PROMPT, store.META]
)
def test_missing_and_truncated_files(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=name):
        load_embeddings(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match=name):
        load_embeddings(folder)


def test_meta_is_an_object(folder: Path) -> None:
    write_json(folder / store.META, [1])
    with pytest.raises(DataError, match=r"meta\.json: not a JSON object"):
        load_embeddings(folder)
