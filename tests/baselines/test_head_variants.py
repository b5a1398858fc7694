"""The variants that are trained beside the head, and their figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.baselines.store import write_left_out
from siglip2_multimodal_hash.baselines.variants import (
    VARIANTS,
    common_head,
    evaluate_variants,
    plain_mlp,
    variant_configs,
)
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.retrieval.store import write_head_codes
from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.splits import head_config
from tests.evaluation.test_head_evaluation import (
    BITS,
    ROWS,
    evaluated,
    knn_params,
    some_codes,
    some_labels,
)
from tests.training.small_fits import (
    CLASSES,
    DIM,
    small_head,
    small_params,
    small_settings,
    small_training,
    small_validation,
)

CHANGES: dict[str, dict[str, Any]] = {
    "direction_only": {"fusion": "hadamard"},
    "image_only": {"fusion": "concat", "modalities": "image"},
    "caption_only": {"fusion": "concat", "modalities": "caption"},
    "magnitude_only": {"fusion": "magnitude"},
}


def test_these_are_all() -> None:
    assert VARIANTS.keys() == CHANGES.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_a_variant_changes_what_it_is_named_after_and_nothing_else(name: str) -> None:
    head = small_head(adapter="linear")
    assert variant_configs(head)[name].model_dump() == head.model_dump() | CHANGES[name]


@pytest.mark.parametrize("name", CHANGES)
def test_each_variant_can_be_fitted(name: str) -> None:
    config = variant_configs(small_head())[name]
    result = fit(
        config,
        small_training(),
        small_validation(),
        small_settings(training={"num_epochs": 2}),
    )
    assert 0 < result.val_map <= 1
    assert ("train_quantisation" in result.history[0]) == (config.bits > 0)
    both = name in ("direction_only", "magnitude_only")
    assert ("train_alignment" in result.history[0]) == both


def vectors(image: int = DIM, caption: int = DIM) -> Embeddings:
    parts = (np.ones((2, image), np.float32), np.ones((2, caption), np.float32))
    return Embeddings(*parts, np.arange(3), np.ones((CLASSES, DIM), np.float32), meta={})


@pytest.mark.parametrize(
    "fusion",
    [
        {"type": "concat"},
        {"type": "gated"},
        {"type": "magnitude"},
        {"type": "concat", "modalities": "caption"},
    ],
)
def test_variants_do_not_depend_on_the_fusion(fusion: dict[str, str]) -> None:
    usual, other = (
        small_params(fusion={"project_dim": 0, **one})
        for one in ({"type": "hadamard_with_magnitude"}, fusion)
    )
    found = [variant_configs(common_head(params, vectors())) for params in (usual, other)]
    assert found[0] == found[1]
    assert list(found[0]) == list(VARIANTS)
    own = head_config(usual, vectors())
    assert found[0] == variant_configs(own)


def test_a_projection_maps_directions_and_leaves_magnitudes() -> None:
    params = small_params(fusion={"project_dim": 6})
    found = variant_configs(common_head(params, vectors(caption=5)))
    assert {name: config.project_dim for name, config in found.items()} == {
        "direction_only": 6,
        "image_only": 6,
        "caption_only": 6,
        "magnitude_only": 0,
    }


@pytest.mark.parametrize(
    ("image", "caption", "modalities"), [(8, 8, "both"), (8, 0, "image"), (0, 8, "caption")]
)
def test_magnitudes_and_the_plain_mlp_take_what_there_is(
    image: int, caption: int, modalities: str
) -> None:
    params, there = small_params(), vectors(image, caption)
    heads = [variant_configs(common_head(params, there))["magnitude_only"]]
    heads.append(plain_mlp(params, there))
    assert [head.modalities for head in heads] == [modalities] * 2
    assert (heads[1].fusion, heads[1].bits, heads[1].input_dim) == ("raw", 0, image + caption)


def test_a_classifier_without_a_code_follows_the_terms_on_labels_alone() -> None:
    """Whatever the loss says of codes and directions, and at a rate of its own, the same fit."""
    config = plain_mlp(small_params(), vectors())
    one, other = (
        small_params(
            training={"num_epochs": 2},
            loss={"objective": objective, "cosine_weight": cosine, "imbalance": "focal"},
        )
        for objective, cosine in (("plan", 1.0), ("discrete_pairwise", 0.5))
    )
    histories = [
        fit(config, small_training(), small_validation(), settings).history
        for settings in (
            FitSettings.from_params(one),
            FitSettings.from_params(other),
            FitSettings.of_classifier(
                small_params(
                    training={"num_epochs": 2},
                    loss={"objective": "discrete_pairwise", "imbalance": "focal"},
                    optimizer={"lr": 0.3},
                    baselines={"mlp_lr": 0.01},
                )
            ),
        )
    ]
    assert histories[0] == histories[1] == histories[2]


def test_a_diverged_classifier_names_the_rate_that_it_had() -> None:
    params = small_params(baselines={"mlp_lr": 1e38}, scheduler={"warmup_epochs": 0})
    config = plain_mlp(params, vectors())
    with pytest.raises(InputError, match=r"lower baselines\.mlp_lr \(now 1e\+38\)"):
        fit(config, small_training(), small_validation(), FitSettings.of_classifier(params))


MODALITIES = {
    "direction_only": "fused",
    "image_only": "image",
    "caption_only": "caption",
    "magnitude_only": "fused",
}


@pytest.fixture
def variants(tmp_path: Path) -> Path:
    codes = some_codes()
    assert codes.scores is not None
    for name in MODALITIES:
        write_head_codes(tmp_path / name, codes.soft, codes.scores, bits=BITS)
    return tmp_path


def test_variants_are_evaluated_like_the_head(variants: Path) -> None:
    labels, knn = some_labels(), knn_params()
    figures = evaluate_variants(variants, labels, ROWS, knn)
    own = evaluated(some_codes(), knn).figures
    assert figures == {name: {"modality": found, **own} for name, found in MODALITIES.items()}


@pytest.mark.parametrize(("there", "missing"), [("image", "caption"), ("caption", "image")])
def test_variants_of_one_modality_name_it(variants: Path, there: str, missing: str) -> None:
    write_left_out(variants, {f"{missing}_only": "not there", "direction_only": "not there"})
    figures = evaluate_variants(variants, some_labels(), ROWS, knn_params())
    assert {name: row["modality"] for name, row in figures.items()} == {
        f"{there}_only": there,
        "magnitude_only": there,
    }


@pytest.mark.parametrize("name", MODALITIES)
def test_a_missing_variant_is_named(variants: Path, name: str) -> None:
    (variants / name).rename(variants / "elsewhere")
    with pytest.raises(DataError, match=rf"{name}.*no such file"):
        evaluate_variants(variants, some_labels(), ROWS, knn_params())
