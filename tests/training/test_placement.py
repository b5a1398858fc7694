"""Wherever the embeddings lie, the same numbers reach the head."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.errors import DataError
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


def test_rows_are_widened_on_their_way_to_a_card() -> None:
    v = MappedRows(np.arange(60_000, dtype=np.float16).reshape(-1, 2), np.arange(29_999, 0, -3))
    whole = v.to(torch.device("cpu"))
    assert (whole.dtype, whole.shape) == (torch.float32, v.shape)
    assert torch.equal(whole, v.index_select(0, torch.arange(len(v))))


def test_a_fit_from_files_is_the_one_from_memory(tmp_path: Path) -> None:
    arrays = mapped(tmp_path, **small_arrays(60))
    rows = np.array([*range(0, 60, 2), *range(1, 30, 2)])
    files = TrainingData.select(rows, **arrays)
    assert isinstance(files.captions, MappedRows)
    cpu = torch.device("cpu")
    v_img, captions = files.v_img.to(cpu), files.captions.to(cpu)
    memory = TrainingData(v_img, captions, files.caption_offsets, files.labels)
    for name, train in (("files", files), ("memory", memory)):
        checkpoints = Checkpoints(tmp_path / name, checkpointing())
        head = small_head(dropout=0.1)
        fit(head, train, small_validation(), small_settings(), checkpoints)
    assert contents(tmp_path / "files") == contents(tmp_path / "memory")


def test_nan_in_a_file_is_found_by_its_row(tmp_path: Path) -> None:
    # So many that they are looked at in more than one go.
    arrays = small_arrays(5000)
    arrays["caption"][4990 * CAPTIONS + 1, 2] = np.nan
    row = 4989 * CAPTIONS + 1
    with pytest.raises(DataError, match=rf"caption embeddings: row {row} holds NaN"):
        TrainingData.select(np.arange(1, 5000), **mapped(tmp_path, **arrays))
