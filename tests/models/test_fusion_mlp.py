"""Input and output of the fusion MLP."""

from typing import Any

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.models.config import FusionKind, HeadConfig
from siglip2_multimodal_hash.models.decomposition import Decomposed
from siglip2_multimodal_hash.models.fusion import FusionMLP, Standardise, join_modalities
from siglip2_multimodal_hash.models.network import HashNetwork
from tests.models.heads import DIM, head_config, network, pairs, trainable_parameters

IMAGE = Decomposed(torch.tensor([[0.6, 0.8]]), torch.tensor([[2.0]]))
CAPTION = Decomposed(torch.tensor([[0.0, -1.0]]), torch.tensor([[3.0]]))


def raw_config(**changes: Any) -> HeadConfig:
    """An MLP on five inputs."""
    return head_config(fusion="raw", image_dim=2, caption_dim=3, **changes)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("concat", [0.6, 0.8, 0.0, -1.0]),
        ("hadamard", [0.6, 0.8, 0.0, -1.0, 0.0, -0.8]),
        ("hadamard_with_magnitude", [0.6, 0.8, 0.0, -1.0, 0.0, -0.8, 2.0, 3.0]),
        ("gated", [0.6, 0.8, 0.0, -1.0]),
        ("low_rank_bilinear", [0.6, 0.8, 0.0, -1.0]),
        ("magnitude", [2.0, 3.0]),
    ],
)
def test_inputs_by_hand(kind: FusionKind, expected: list[float]) -> None:
    assert join_modalities(kind, IMAGE, CAPTION).tolist() == [pytest.approx(expected)]


def test_concat_joins_embeddings_of_unequal_widths() -> None:
    wide = Decomposed(torch.ones(1, 5), torch.ones(1, 1))
    assert join_modalities("concat", wide, CAPTION).shape == (1, 7)


@pytest.mark.parametrize(
    ("changes", "width"),
    [
        ({"fusion": "concat"}, 1536),
        ({"fusion": "hadamard"}, 2304),
        ({"fusion": "hadamard_with_magnitude"}, 2306),
        ({"fusion": "gated"}, 1536),
        ({"fusion": "low_rank_bilinear"}, 1536),
        ({"fusion": "magnitude"}, 2),
        ({"fusion": "magnitude", "modalities": "image"}, 1),
        ({"fusion": "magnitude", "modalities": "caption"}, 1),
        ({"fusion": "raw"}, 1536),
        ({"fusion": "concat", "modalities": "image"}, 768),
        ({"fusion": "concat", "modalities": "caption"}, 768),
        ({"fusion": "raw", "modalities": "image"}, 768),
    ],
)
def test_the_width_of_the_input_is_what_the_network_joins(
    changes: dict[str, Any], width: int
) -> None:
    config = head_config(image_dim=768, caption_dim=768, **changes)
    assert config.input_dim == width
    joined = HashNetwork(config).fusion_input(*pairs(2, image_dim=768, caption_dim=768))
    assert joined.shape == (2, width)


def test_parameters_at_the_sizes_of_the_plan() -> None:
    """D = 768, MLP 1024 and 512, 64 bits, 80 classes; Linear(a, b) has a b + b parameters."""
    head = network(image_dim=768, caption_dim=768, classes=80, mlp_dims=(1024, 512), bits=64)
    fusion = (2306 * 1024 + 1024) + (1024 * 512 + 512)
    assert trainable_parameters(head) == fusion + (512 * 64 + 64) + (64 * 80 + 80) == 2_925_200
    linear = network(
        image_dim=768, caption_dim=768, classes=80, mlp_dims=(1024, 512), bits=64, adapter="linear"
    )
    assert trainable_parameters(linear) == 2_925_200 + 2 * (768 * 768 + 768)


@pytest.mark.parametrize(
    ("fusion", "interaction", "mlp_input"),
    [
        ("concat", 0, 1536),
        ("hadamard", 0, 2304),
        ("gated", 1536 * 1536 + 1536, 1536),
        ("low_rank_bilinear", 2 * (768 * 5 * 768 + 5 * 768), 768),
        ("magnitude", 0, 2),
    ],
)
def test_parameters_of_the_other_fusions(fusion: str, interaction: int, mlp_input: int) -> None:
    head = network(
        image_dim=768, caption_dim=768, classes=80, mlp_dims=(1024, 512), bits=64, fusion=fusion
    )
    behind = (1024 * 512 + 512) + (512 * 64 + 64) + (64 * 80 + 80)
    expected = interaction + (mlp_input * 1024 + 1024) + behind
    assert trainable_parameters(head) == expected


def test_without_hash_layer_the_classifier_sits_on_the_fused_vector() -> None:
    head = network(mlp_dims=(10, 8), bits=0, classifier_bias=False, fusion="concat")
    assert trainable_parameters(head) == (12 * 10 + 10) + (10 * 8 + 8) + 8 * 4


def test_raw_is_the_embedding_itself_without_decomposition() -> None:
    v_img, v_txt = pairs(3)
    head = network(fusion="raw")
    assert torch.equal(head.fusion_input(v_img, v_txt), torch.cat([v_img, v_txt], dim=1))
    output = head(v_img, v_txt)
    assert output.d_img is output.d_txt is output.m_img is output.m_txt is None


def test_a_single_modality_is_its_direction() -> None:
    v_img, _ = pairs(3)
    head = network(fusion="concat", modalities="image")
    expected = v_img / v_img.norm(dim=1, keepdim=True)
    torch.testing.assert_close(head.fusion_input(v_img, None), expected)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_mlp_by_numpy(activation: str) -> None:
    torch.manual_seed(0)
    mlp = FusionMLP(raw_config(mlp_dims=(4, 3), dropout=0.5, activation=activation)).eval()
    mlp.standardise.set_statistics(torch.arange(5.0), torch.arange(1.0, 6.0))
    x = torch.randn(7, 5)
    expected = (x.numpy() - np.arange(5)) / np.arange(1, 6)
    for linear in (layer for layer in mlp.layers if isinstance(layer, torch.nn.Linear)):
        z = expected @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
        erf = torch.erf(torch.from_numpy(z / np.sqrt(2))).numpy()
        expected = np.maximum(z, 0) if activation == "relu" else z * 0.5 * (1 + erf)
    np.testing.assert_allclose(mlp(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_dropout_works_in_training_alone() -> None:
    mlp = FusionMLP(raw_config(mlp_dims=(64,), dropout=0.5))
    x = torch.ones(1, 5)
    assert not torch.equal(mlp(x), mlp(x))
    mlp.eval()
    assert torch.equal(mlp(x), mlp(x))


def test_standardise_is_the_identity_until_it_knows_better() -> None:
    layer = Standardise(3)
    x = torch.randn(4, 3)
    assert torch.equal(layer(x), x)
    layer.set_statistics(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 1.0, 2.0]))
    torch.testing.assert_close(layer(torch.tensor([[2.0, 2.0, 1.0]])), torch.tensor([[2.0, 0, -1]]))


def test_a_constant_column_is_centred_and_not_blown_up() -> None:
    layer = Standardise(2)
    layer.set_statistics(torch.tensor([5.0, 5.0]), torch.tensor([0.0, 1e-9]))
    assert layer(torch.tensor([[5.0, 6.0]])).tolist() == [[0.0, 1.0]]


def test_standardisation_is_no_parameter_but_is_kept_in_the_weights() -> None:
    head = network()
    assert not any("standardise" in name for name, _ in head.named_parameters())
    kept = {name for name in head.state_dict() if "standardise" in name}
    assert kept == {"fusion.standardise.mean", "fusion.standardise.scale"}


def test_concatenated_directions_may_differ_in_width() -> None:
    assert head_config(fusion="concat", image_dim=DIM, caption_dim=7).input_dim == 13
