"""The baselines that are trained beside the head."""

from dataclasses import asdict
from typing import Any

import pytest

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.variants import VARIANTS, variant_config
from tests.training.small_fits import small_head, small_settings, small_training, small_validation

CHANGES: dict[str, dict[str, Any]] = {
    "mlp": {"fusion": "raw", "adapter": "none", "bits": 0},
    "direction_only": {"fusion": "hadamard"},
    "image_only": {"fusion": "concat", "modalities": "image"},
    "caption_only": {"fusion": "concat", "modalities": "caption"},
}


def test_these_are_all() -> None:
    assert VARIANTS.keys() == CHANGES.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_a_variant_changes_what_it_is_named_after_and_nothing_else(name: str) -> None:
    head = small_head(adapter="linear")
    assert asdict(variant_config(name, head)) == asdict(head) | CHANGES[name]


@pytest.mark.parametrize("name", CHANGES)
def test_a_variant_of_a_head_of_one_modality_is_the_same_baseline(name: str) -> None:
    head = small_head(fusion="concat", modalities="caption")
    expected = asdict(head) | {"modalities": "both"} | CHANGES[name]
    assert asdict(variant_config(name, head)) == expected


@pytest.mark.parametrize("name", CHANGES)
def test_each_variant_can_be_fitted(name: str) -> None:
    config = variant_config(name, small_head())
    result = fit(
        config,
        small_training(),
        small_validation(),
        small_settings(training={"num_epochs": 2}),
    )
    assert 0 < result.val_map <= 1
    assert ("train_quantisation" in result.history[0]) == (config.bits > 0)
    assert ("train_cosine" in result.history[0]) == (name == "direction_only")


def test_an_unknown_baseline_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'oracle'.*\n.*mlp, direction_only, image_only"):
        variant_config("oracle", small_head())
