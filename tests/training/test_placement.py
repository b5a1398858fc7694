"""Wherever the embeddings lie, the same numbers reach the head."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.training import data
from siglip2_multimodal_hash.training.data import MappedRows, TrainingData
from siglip2_multimodal_hash.training.loop import Checkpoints, fit
from tests.training.resumable import contents
from tests.training.small_fits import (
    CAPTIONS,
    checkpointing,
    small_arrays,
    small_head,
    small_settings,
    small_validation,
)


def mapped(folder: Path, **arrays: Any) -> dict[str, Any]:
    """The arrays as the store opens them."""
    for name in ("image", "caption"):
        np.save(folder / f"{name}.npy", arrays[name])
        arrays[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return arrays


def test_rows_of_a_file_by_hand(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([[0, 1], [2, 3], [4, 5]], dtype=np.float16))
    v = MappedRows(np.load(tmp_path / "v.npy", mmap_mode="r"), np.array([2, 0]))
    assert (v.shape, len(v)) == ((2, 2), 2)
    found = v.index_select(0, torch.tensor([1, 0, 0]))
    assert found.dtype == torch.float32
    assert found.tolist() == [[0, 1], [4, 5], [4, 5]]
    with pytest.raises(ValueError, match="dim = 1"):
        v.index_select(1, torch.tensor([0]))


def test_a_fit_from_files_is_the_one_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = mapped(tmp_path, **small_arrays(60))
    rows = np.array([*range(0, 60, 2), *range(1, 30, 2)])
    kinds: dict[str, type] = {}
    for name, fits in (("memory", True), ("files", False)):
        monkeypatch.setattr(data, "fits_memory", lambda _, fits=fits: fits)
        train = TrainingData.select(rows, **arrays)
        kinds[name] = type(train.captions)
        checkpoints = Checkpoints(tmp_path / name, checkpointing())
        head = small_head(dropout=0.1)
        fit(head, train, small_validation(), small_settings(), checkpoints)
    assert kinds == {"memory": torch.Tensor, "files": MappedRows}
    assert contents(tmp_path / "files") == contents(tmp_path / "memory")


def test_nan_in_a_file_is_found_by_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = small_arrays(12)
    arrays["caption"][7 * CAPTIONS + 1, 2] = np.nan
    monkeypatch.setattr(data, "fits_memory", lambda _: False)
    monkeypatch.setattr(data, "_PIECE", 5)
    with pytest.raises(DataError, match=r"caption embeddings: row 4 holds NaN"):
        TrainingData.select(np.array([3, 7]), **mapped(tmp_path, **arrays))
