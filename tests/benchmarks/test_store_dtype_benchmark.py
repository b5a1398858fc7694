"""The benchmark of the stored precision: its errors by hand, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.store_dtype import compare, largest_errors, rounded
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.params import load_params

PARAMS = load_params(Path(__file__).resolve().parents[2] / "params.yaml")


def test_errors_are_those_of_the_worst_row() -> None:
    exact = np.array([[3, 4], [0, 10]], np.float32)
    close = np.array([[3, 4], [0, 11]], np.float32)
    magnitude, log = largest_errors(exact, close, eps=0)
    assert magnitude == pytest.approx(0.1)
    assert log == pytest.approx(np.log(11) / np.log(10) - 1)
    assert largest_errors(exact, exact, eps=1e-6) == (0, 0)


def test_rounding_goes_through_the_files(tmp_path: Path) -> None:
    v = np.array([[0.1, 2], [3, 4]], np.float32)
    exact = Embeddings(v, v, np.arange(3), v, {"dtype": "float32"})
    half = rounded(exact, tmp_path / "half")
    assert np.load(tmp_path / "half" / store.IMAGE).dtype == np.float16
    assert half.image.dtype == np.float16
    assert half.image.tolist() == half.caption.tolist() == [[1638 / 2**14, 2], [3, 4]]
    assert half.prompt.tolist() == v.tolist()
    assert half.meta == {"dtype": "float16"}


def test_embeddings_that_are_rounded_already_are_refused(tmp_path: Path) -> None:
    v = np.ones((2, 2), np.float32)
    rounded(Embeddings(v, v, np.arange(3), v, {}), tmp_path / "half")
    with pytest.raises(InputError, match="rounding twice shows nothing"):
        compare(PARAMS, tmp_path / "index.parquet", tmp_path / "half", (42,))
