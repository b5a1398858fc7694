"""HeadConfig: from params.yaml, through JSON and back, and what it refuses."""

import json
import math
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import FusionType, settings_for_widths
from tests.models.heads import head_config
from tests.parameters import PARAMS, params_with


@given(
    adapter=st.sampled_from(["none", "linear", "residual"]),
    fusion=st.sampled_from(["raw", "concat", "hadamard", "hadamard_with_magnitude"]),
    bits=st.sampled_from([0, 16, 32, 64, 128]),
    mlp_dims=st.lists(st.integers(1, 5000), min_size=1, max_size=4).map(tuple),
    dropout=st.floats(0, 1, exclude_max=True),
    eps=st.floats(1e-12, 1),
    classifier_bias=st.booleans(),
)
@settings(max_examples=50)
def test_json_round_trip(**changes: Any) -> None:
    config = head_config(**changes)
    assert HeadConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_from_params_takes_over_every_parameter() -> None:
    params = PARAMS
    changes: dict[str, dict[str, Any]] = {
        "decomposer": {"eps": 0.5, "adapter": "residual"},
        "fusion": {
            "type": "concat",
            "modalities": "image",
            "mlp_dims": (7, 5),
            "dropout": 0.2,
            "activation": "gelu",
        },
        "hash": {"bits": 32, "normalize": "batchnorm", "shortcut": "random"},
        "classifier": {"use_bias": False},
    }
    sections = {name: getattr(params, name).model_copy(update=one) for name, one in changes.items()}
    config = HeadConfig.from_params(params.model_copy(update=sections), 9, 8, 3)
    assert config.to_json() == {
        "image_dim": 9,
        "caption_dim": 8,
        "classes": 3,
        "eps": 0.5,
        "adapter": "residual",
        "fusion": "concat",
        "modalities": "image",
        "mlp_dims": [7, 5],
        "dropout": 0.2,
        "activation": "gelu",
        "bits": 32,
        "classifier_bias": False,
        "normalize": "batchnorm",
        "shortcut": True,
    }
    assert (config.input_dim, config.fused_dim, config.code_dim) == (9, 5, 32)


def test_without_bits_the_code_is_the_fused_vector() -> None:
    assert head_config(bits=0, mlp_dims=(10, 8)).code_dim == 8


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_dim", -1),
        ("caption_dim", 7.0),
        ("classes", True),
        ("mlp_dims", ()),
        ("mlp_dims", (8, 0)),
        ("adapter", "lora"),
        ("fusion", "sum"),
        ("modalities", "text"),
        ("activation", "tanh"),
        ("bits", 48),
        ("bits", False),
        ("bits", 64.0),
        ("dropout", 1.0),
        ("dropout", math.nan),
        ("eps", 0.0),
        ("eps", math.inf),
        ("classifier_bias", "false"),
        ("classifier_bias", 1),
    ],
)
def test_refusals_name_the_key(key: str, value: object) -> None:
    with pytest.raises(ParamsError, match=rf"^head: {key}\b.* = "):
        HeadConfig.from_json(head_config().to_json() | {key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": "many"}, "bits = 'many'"),
        ({"dropout": "0.1"}, "dropout = '0.1'"),
        ({"mlp_dims": 8}, "mlp_dims = 8: .* list"),
        ({"mlp_dims": "12"}, "mlp_dims = '12'"),
        ({"colour": 1}, r"colour = 1: unknown key \(known here: image_dim, "),
    ],
)
def test_damaged_json_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        HeadConfig.from_json(head_config().to_json() | change)


@pytest.mark.parametrize("value", [None, [], "head"])
def test_json_that_is_no_mapping_is_refused(value: object) -> None:
    with pytest.raises(ParamsError, match="must be a section"):
        HeadConfig.from_json(value)


def test_a_missing_key_is_named() -> None:
    value = head_config().to_json()
    del value["eps"]
    with pytest.raises(ParamsError, match="eps: missing"):
        HeadConfig.from_json(value)


@pytest.mark.parametrize("cosine_weight", [0.0, 1.0])
@pytest.mark.parametrize("widths", [(9, 9), (9, 6), (6, 9), (9, 0), (0, 9)])
@pytest.mark.parametrize("fusion", get_args(FusionType))
def test_after_its_remedy_a_head_for_features_of_any_widths_runs(
    fusion: FusionType, widths: tuple[int, int], cosine_weight: float
) -> None:
    changes: dict[str, str | float] = {"fusion.type": fusion, "loss.cosine_weight": cosine_weight}

    def build() -> HeadConfig:
        params = params_with(changes)
        config = HeadConfig.from_params(params, *widths, classes=3)
        torch.manual_seed(0)
        network = HashNetwork(config)
        output = network(torch.randn(4, widths[0]), torch.randn(4, widths[1]))
        parts = HeadLoss(params.loss, classify=network.classifier)(output, torch.ones(4, 3))
        assert parts.total.isfinite()
        aligned = parts.alignment is not None
        assert aligned or not params.loss.cosine_weight or 0 in widths
        return config

    needed = settings_for_widths(
        PARAMS.fusion.model_copy(update={"type": fusion}), cosine_weight, *widths
    )
    if needed:
        with pytest.raises(ParamsError) as caught:
            build()
        for key, value in needed.items():
            assert f"-S {key}={value}" in str(caught.value)
    changes |= needed
    build()
