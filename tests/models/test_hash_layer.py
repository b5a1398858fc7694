"""The hash layer and its regularisers against NumPy."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.models.hashing import (
    HashLayer,
    balance_loss,
    decorrelation_loss,
    quantisation_loss,
)


def soft_codes(seed: int, samples: int, bits: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (samples, bits)).astype(np.float32)


def test_the_layer_is_tanh_of_a_linear_map() -> None:
    torch.manual_seed(0)
    layer = HashLayer(5, 16)
    z = torch.randn(3, 5) * 4
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = np.tanh(z.numpy() @ weight.T + bias)
    np.testing.assert_allclose(layer(z).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_shortcut_adds_a_linear_map_of_the_mlps_input() -> None:
    torch.manual_seed(0)
    layer = HashLayer(5, 16, shortcut_dim=7)
    assert layer.shortcut is not None
    z, x = torch.randn(3, 5), torch.randn(3, 7)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    beside = layer.shortcut.weight.detach().numpy()
    expected = np.tanh(z.numpy() @ weight.T + bias + x.numpy() @ beside.T)
    np.testing.assert_allclose(layer(z, x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_regularisers_by_hand() -> None:
    h = torch.tensor([[1.0, 0.5], [-1.0, 0.5]])
    # (0 + 0.25 + 0 + 0.25) / 4; the means are 0 and 0.5; the second bit does not vary.
    assert quantisation_loss(h).item() == pytest.approx(0.125)
    assert balance_loss(h).item() == pytest.approx((0 + 0.25) / 2)
    assert decorrelation_loss(h).item() == 0


def test_two_equal_bits_are_punished_and_two_independent_ones_are_not() -> None:
    equal = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    assert decorrelation_loss(equal).item() == pytest.approx(2 * 1 / 2**2)
    independent = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert decorrelation_loss(independent).item() == 0
    assert balance_loss(independent).item() == 0
    assert quantisation_loss(independent).item() == 0


@given(seed=st.integers(0, 2**32 - 1), samples=st.integers(1, 40), bits=st.integers(1, 16))
@settings(max_examples=40)
def test_numpy_agrees(seed: int, samples: int, bits: int) -> None:
    h = soft_codes(seed, samples, bits)
    exact, given_h = h.astype(np.float64), torch.from_numpy(h)
    covariance = np.atleast_2d(np.cov(exact, rowvar=False, bias=True))
    off_diagonal = covariance - np.diag(np.diag(covariance))
    expected = {
        quantisation_loss: ((np.abs(exact) - 1) ** 2).mean(),
        balance_loss: (exact.mean(axis=0) ** 2).mean(),
        decorrelation_loss: (off_diagonal**2).sum() / bits**2,
    }
    for loss, value in expected.items():
        assert loss(given_h).item() == pytest.approx(value, rel=1e-4, abs=1e-7)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_flipping_a_bit_changes_no_regulariser(seed: int) -> None:
    h = soft_codes(seed, 12, 8)
    flipped = h * np.random.default_rng(seed).choice([-1, 1], 8).astype(np.float32)
    for loss in (quantisation_loss, balance_loss, decorrelation_loss):
        one, other = loss(torch.from_numpy(h)).item(), loss(torch.from_numpy(flipped)).item()
        assert one == pytest.approx(other, rel=1e-4, abs=1e-7)
