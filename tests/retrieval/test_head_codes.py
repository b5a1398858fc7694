"""Output of a head for every image, as files: codes are the signs of the soft codes."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.store import HeadCodes, read_head_codes, write_head_codes


def soft_codes(count: int = 6, bits: int = 16) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-1, 1, (count, bits)).astype(np.float32)


def some_scores(count: int = 6) -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).random((count, 3)).astype(np.float32)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    soft, scores = soft_codes(), some_scores()
    soft[0, :2] = 0.0, -0.0  # no third state: zero is bit 0
    write_head_codes(tmp_path / "codes", soft, scores, bits=16)
    codes = read_head_codes(tmp_path / "codes")
    assert np.array_equal(codes.soft, soft)
    assert codes.scores is not None
    assert np.array_equal(codes.scores, scores)
    assert codes.packed is not None
    assert codes.packed.dtype == np.uint8
    assert np.array_equal(np.unpackbits(codes.packed, axis=1), soft > 0)
    assert codes.searchable() is codes.packed


def test_without_a_hash_layer_the_vectors_take_the_codes_place(tmp_path: Path) -> None:
    vectors = unit_vectors(soft_codes(bits=5))
    write_head_codes(tmp_path / "codes", vectors, some_scores(), bits=0)
    assert names(tmp_path / "codes") == ["scores.npy", "soft.npy"]
    codes = read_head_codes(tmp_path / "codes")
    assert codes.packed is None
    assert codes.searchable() is codes.soft


def test_without_a_hash_layer_there_are_no_packed_codes(tmp_path: Path) -> None:
    write_head_codes(tmp_path / "codes", unit_vectors(soft_codes()), some_scores(), bits=0)
    assert names(tmp_path / "codes") == ["scores.npy", "soft.npy"]
    assert names(tmp_path) == ["codes"]


def test_equal_codes_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_head_codes(tmp_path / name, soft_codes(), some_scores(), bits=16)
    for name in names(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_rows_are_chosen_from_all_arrays() -> None:
    soft = soft_codes()
    codes = HeadCodes(soft, np.packbits(soft > 0, axis=1), None)
    chosen = codes.rows(np.array([4, 1]))
    assert np.array_equal(chosen.soft, soft[[4, 1]])
    assert chosen.packed is not None
    assert np.array_equal(np.unpackbits(chosen.packed, axis=1), soft[[4, 1]] > 0)
    assert HeadCodes(soft, None, None).rows(np.array([2])).packed is None


def test_codes_and_scores_of_different_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows of the soft codes: 6, of the scores: 5"):
        write_head_codes(tmp_path / "codes", soft_codes(), some_scores(5), bits=16)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["soft.npy", "scores.npy"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_head_codes(tmp_path / "codes", soft_codes(), some_scores(), bits=16)
    (tmp_path / "codes" / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: no such file"):
        read_head_codes(tmp_path / "codes")


@pytest.mark.parametrize("name", ["soft", "scores", "packed"])
def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, name: str) -> None:
    write_head_codes(tmp_path / "codes", soft_codes(), some_scores(), bits=16)
    path = tmp_path / "codes" / f"{name}.npy"
    array: npt.NDArray[Any] = np.load(path)
    np.save(path, array[:4])
    with pytest.raises(DataError, match=r"codes: arrays of different lengths \[4, 6\]"):
        read_head_codes(tmp_path / "codes")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    write_head_codes(tmp_path / "codes", soft_codes(), some_scores(), bits=16)
    path = tmp_path / "codes" / "packed.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"packed\.npy: not a readable"):
        read_head_codes(tmp_path / "codes")
