"""The benchmark of the fit on a few hundred images."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_features import write_features
from benchmarks.train_head import compare
from siglip2_multimodal_hash.errors import InputError


def arguments(**changes: Any) -> argparse.Namespace:
    values: dict[str, Any] = {
        "annotations": None,
        "images": 400,
        "width": 16,
        "batch_size": 8,
        "accumulation": 2,
        "updates": 5,
        "turns": 1,
    }
    return argparse.Namespace(**(values | changes))


def test_its_figures_fit_together(tmp_path: Path) -> None:
    result = compare(arguments(), tmp_path)
    assert (result["images"], result["effective_batch"], result["updates_timed"]) == (400, 16, 5)
    rates = result["samples_per_second"], result["dataloader_samples_per_second"]
    assert result["speedup_vs_dataloader"] == pytest.approx(rates[0] / rates[1], rel=0.05)
    epoch = 25 * 16 / rates[0] + result["seconds_an_epoch_outside_updates"]
    assert result["minutes_30_epochs"] == pytest.approx(30 * epoch / 60, rel=0.05, abs=0.02)
    assert result["device"]


def test_features_follow_the_labels(tmp_path: Path) -> None:
    features = write_features(tmp_path, 300, 32, None)
    assert features.image.shape == (300, 32)
    assert features.caption.shape == (1500, 32)
    assert isinstance(features.image, np.memmap)
    assert features.caption_offsets[[0, -1]].tolist() == [0, 1500]
    residual = (
        features.image
        - features.labels
        @ np.linalg.lstsq(features.labels.astype(float), features.image, rcond=None)[0]
    )
    assert residual.var() < 0.8 * features.image.var()


def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no labels80_trainval2014\.npz"):
        write_features(tmp_path, 10, 4, tmp_path)


def test_too_many_images_for_the_labels(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "labels80_trainval2014.npz",
        ids=np.arange(3),
        labels=np.zeros((3, 10), dtype=np.uint8),
        is_val=np.zeros(3, dtype=bool),
        category_ids=np.arange(80),
        category_names=np.array([f"class {number}" for number in range(80)]),
    )
    with pytest.raises(InputError, match=r"has 3 images, 10 asked for"):
        write_features(tmp_path, 10, 4, tmp_path)
