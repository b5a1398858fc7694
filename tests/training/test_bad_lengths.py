"""Embeddings of a size that a head cannot learn from: said by name, and the remedy is true."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.code_quality import code_quality, warn_of_degenerate
from siglip2_multimodal_hash.retrieval.codes import binarize, unit_vectors
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.inference import encode_dataset
from siglip2_multimodal_hash.training.loop import fit
from tests.training.small_fits import CAPTIONS, small_arrays, small_head, small_settings

Array = npt.NDArray[Any]


def codes_of_fit(
    factor: float = 1.0, change: Callable[[Array], Array] = lambda v: v, **head: Any
) -> dict[str, float]:
    """Warnings about the codes of a fit on features that were changed and then scaled."""
    train, val = small_arrays(48, 0), small_arrays(40, 1)
    for arrays in (train, val):
        for name in ("image", "caption"):
            arrays[name] = (change(arrays[name]) * np.float32(factor)).astype(np.float32)
    del val["caption_offsets"]
    val["caption"] = val["caption"][::CAPTIONS]
    config = small_head(normalize="batchnorm", **head)
    held_out = ValidationData.select(np.arange(40), **val)
    network = fit(
        config, TrainingData.select(np.arange(48), **train), held_out, small_settings()
    ).network
    soft, _ = encode_dataset(network, val["image"], val["caption"], 16)
    quality = code_quality(binarize(soft))
    warn_of_degenerate("val", quality, config.to_json())
    return quality


def test_features_of_usual_size_are_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert codes_of_fit()["bit_entropy"] > 0.1
    assert "length" not in caplog.text
    assert "carry little information" not in caplog.text


def test_tiny_features_and_their_codes_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert codes_of_fit(1e-30)["bit_entropy"] == 0
    assert "image.npy: no row is longer than" in caplog.text
    assert "decomposer.eps = 1e-06" in caplog.text
    assert "multiply these features by one number" in caplog.text
    assert "codes of val carry little information: entropy of a bit 0.000" in caplog.text
    assert "100.0% of the images share one" in caplog.text


def test_huge_features_are_refused_and_the_remedy_helps(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match=r"image\.npy, training split: a row is") as caught:
        codes_of_fit(1e30)
    assert "-> multiply these features by one number" in str(caught.value)
    assert "optimizer.lr" not in str(caught.value)
    # As the remedy says: the same features by one number.
    assert codes_of_fit(1e-30, lambda v: v * np.float32(1e30))["bit_entropy"] > 0.1
    # Lengths that are not refused can be computed with.
    assert codes_of_fit(1e16)["bit_entropy"] > 0.1


@pytest.mark.parametrize(
    ("fusion", "warned"), [("hadamard_with_magnitude", True), ("hadamard", False)]
)
def test_constant_magnitudes_are_warned_of_where_they_are_used(
    caplog: pytest.LogCaptureFixture, fusion: str, warned: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        codes_of_fit(3.0, unit_vectors, fusion=fusion)
    assert ("caption.npy: every row has length 3 to 3" in caplog.text) == warned


def test_degenerate_codes_name_the_settings_that_collapse_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quality = {"bit_entropy": 0.05, "distinct_share": 0.5, "largest_bucket": 0.1}
    warn_of_degenerate("val", quality, {"classifier_bias": False})
    assert "set hash.normalize to batchnorm; set classifier.use_bias to true" in caplog.text
    caplog.clear()
    warn_of_degenerate("val", quality | {"bit_entropy": 0.1}, {"classifier_bias": False})
    assert not caplog.records
