"""Direction and magnitude against NumPy; the adapters in front of them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.models.config import RESIDUAL_REDUCTION
from siglip2_multimodal_hash.models.decomposition import build_adapter, decompose
from siglip2_multimodal_hash.params import Adapter


def test_by_hand() -> None:
    parts = decompose(torch.tensor([[3.0, 4.0], [0.0, -2.0]]), eps=1.0)
    assert parts.direction.tolist() == [[0.5, pytest.approx(4 / 6)], [0.0, pytest.approx(-2 / 3)]]
    assert parts.magnitude.tolist() == [
        [pytest.approx(math.log(6))],
        [pytest.approx(math.log(3))],
    ]


@given(seed=st.integers(0, 2**32 - 1), eps=st.sampled_from([1e-6, 1e-2, 1.0]))
@settings(max_examples=30)
def test_numpy_agrees(seed: int, eps: float) -> None:
    v = np.random.default_rng(seed).normal(size=(5, 7)).astype(np.float32) * 10
    direction, magnitude = decompose(torch.from_numpy(v), eps)
    norm = np.sqrt((v.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(direction.numpy(), v / (norm + eps), rtol=1e-5)
    np.testing.assert_allclose(magnitude.numpy(), np.log(norm + eps), rtol=1e-5, atol=1e-6)


def test_point_1_magnitude_varies_with_the_norm_of_the_embedding() -> None:
    v = torch.tensor([[1.0, 2.0, 2.0]])
    one, ten = decompose(v, 1e-6), decompose(10 * v, 1e-6)
    assert (ten.magnitude - one.magnitude).item() == pytest.approx(math.log(10), abs=1e-5)
    torch.testing.assert_close(ten.direction, one.direction)


def test_a_zero_row_stays_finite_and_so_does_its_gradient() -> None:
    v = torch.zeros(2, 3, requires_grad=True)
    parts = decompose(v, 1e-6)
    assert parts.direction.tolist() == [[0.0] * 3] * 2
    assert parts.magnitude.flatten().tolist() == pytest.approx([math.log(1e-6)] * 2)
    torch.autograd.backward((parts.direction.sum(), parts.magnitude.sum()))
    assert v.grad is not None
    assert v.grad.isfinite().all()


def test_half_precision_does_not_overflow() -> None:
    v = torch.full((1, 4), 1000.0, dtype=torch.float16)  # 1000^2 is beyond float16
    parts = decompose(v, 1e-6)
    assert parts.direction.dtype == parts.magnitude.dtype == torch.float32
    torch.testing.assert_close(parts.direction, torch.full((1, 4), 0.5))
    assert parts.magnitude.item() == pytest.approx(math.log(2000), abs=1e-5)


@pytest.mark.parametrize("kind", ["none", "linear", "residual"])
def test_point_4_each_adapter_is_exactly_the_identity_at_the_start(kind: Adapter) -> None:
    v = torch.randn(5, 8)
    assert torch.equal(build_adapter(kind, 8)(v), v)


def test_adapters_train_as_many_parameters_as_they_say() -> None:
    dim, inner = 8, 8 // RESIDUAL_REDUCTION
    counts = {
        kind: sum(p.numel() for p in build_adapter(kind, dim).parameters())
        for kind in ("none", "linear", "residual")
    }
    assert counts == {
        "none": 0,
        "linear": dim * dim + dim,
        "residual": dim * inner + inner + inner * dim + dim,
    }


def test_the_residual_adapter_adds_its_bottleneck() -> None:
    adapter = build_adapter("residual", 8)
    weights = {name: torch.randn_like(p) for name, p in adapter.named_parameters()}
    adapter.load_state_dict(weights)
    v = torch.randn(3, 8)
    w = {name: value.numpy() for name, value in weights.items()}
    hidden = np.maximum(v.numpy() @ w["down.weight"].T + w["down.bias"], 0)
    expected = v.numpy() + hidden @ w["up.weight"].T + w["up.bias"]
    np.testing.assert_allclose(adapter(v).detach().numpy(), expected, rtol=1e-5, atol=1e-5)


def test_an_embedding_of_fewer_dimensions_than_the_reduction_has_a_bottleneck_of_one() -> None:
    v = torch.randn(2, 3)
    assert torch.equal(build_adapter("residual", 3)(v), v)
