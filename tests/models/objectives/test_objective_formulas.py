"""Each objective against its formula in plain NumPy, and by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.models.objectives.central import (
    central_loss,
    hash_centres,
    item_centres,
    tie_breaker,
)
from siglip2_multimodal_hash.models.objectives.discrete import sign_penalty, straight_through_sign
from siglip2_multimodal_hash.models.objectives.orthogonal import orthogonal_loss
from siglip2_multimodal_hash.models.objectives.pairwise import (
    continued_code,
    label_similarity,
    pairwise_loss,
)
from tests.models.objectives.plain import (
    plain_central,
    plain_orthogonal,
    plain_pairwise,
    random_items,
)

SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS, samples=st.integers(1, 9), soft=st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=40)
def test_pairwise_is_the_formula(seed: int, samples: int, soft: float) -> None:
    u, labels = random_items(seed, 2, samples, 16)
    codes = np.tanh(u)
    found = pairwise_loss(torch.from_numpy(codes), torch.from_numpy(labels), soft)
    apart = [plain_pairwise(h, y, soft) for h, y in zip(codes, labels, strict=True)]
    assert found.item() == pytest.approx(np.mean(apart), rel=1e-9)


def test_pairwise_by_hand() -> None:
    codes = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    # The pair alike has t = 5 * 2; the two pairs that are not have t = 0.
    expected = (math.log(1 + math.exp(10)) - 10 + math.log(2)) / 2
    assert pairwise_loss(codes, labels).item() == pytest.approx(expected, abs=1e-5)
    # Of the labels {1} and {1, 2} Jaccard's coefficient is 1 / 2.
    assert label_similarity(labels, 1.0)[0, 1].item() == 0.5
    assert label_similarity(labels, 0.5)[0, 1].item() == 0.75
    assert label_similarity(labels, 0.5)[0, 2].item() == 0


def test_continuation_goes_from_tanh_to_the_sign() -> None:
    u = torch.tensor([-2.0, -0.1, 0.1, 2.0])
    torch.testing.assert_close(continued_code(u, 10, 0.0), torch.tanh(u))
    torch.testing.assert_close(continued_code(u, 10, 1.0), torch.tanh(10 * u))
    torch.testing.assert_close(continued_code(u, 10, 0.5), torch.tanh(5.5 * u))
    torch.testing.assert_close(continued_code(u, 1e4, 1.0), torch.sign(u))


@given(seed=SEEDS, samples=st.integers(1, 9))
@settings(max_examples=40)
def test_central_and_orthogonal_are_the_formulas(seed: int, samples: int) -> None:
    u, labels = random_items(seed, 1, samples, 16)
    targets = hash_centres(5, 16).double().numpy()
    centres = np.where(labels[0] @ targets + tie_breaker(16).numpy() / 2 > 0, 1.0, -1.0)
    found = central_loss(torch.from_numpy(u), torch.from_numpy(labels))
    assert found.item() == pytest.approx(plain_central(u[0], centres), rel=1e-6)
    found = orthogonal_loss(torch.from_numpy(u), torch.from_numpy(labels))
    assert found.item() == pytest.approx(plain_orthogonal(u[0], labels[0], targets), rel=1e-6)


@pytest.mark.parametrize(("classes", "bits"), [(80, 64), (80, 128), (16, 16), (32, 16)])
def test_centres_are_at_least_half_the_bits_apart(classes: int, bits: int) -> None:
    centres = hash_centres(classes, bits)
    assert centres.shape == (classes, bits)
    assert len(torch.unique(centres, dim=0)) == classes
    products = centres @ centres.T - bits * torch.eye(classes)
    assert products.max() <= 0


def test_more_classes_than_a_hadamard_matrix_has_rows_get_coins() -> None:
    centres = hash_centres(80, 16)
    assert set(torch.unique(centres).tolist()) == {-1.0, 1.0}
    assert centres.mean().abs() < 0.1
    assert torch.equal(centres, hash_centres(80, 16))


def test_the_centre_of_an_item_is_the_majority_of_its_labels() -> None:
    labels = torch.zeros(3, 80)
    labels[0, 7] = labels[1, [3, 9, 20]] = 1
    centres = hash_centres(80, 64)
    found = item_centres(labels, 64)
    assert torch.equal(found[0], centres[7])
    assert torch.equal(found[1], torch.sign(centres[3] + centres[9] + centres[20]))
    assert torch.equal(found[2], tie_breaker(64))


def test_the_sign_has_no_third_state_and_lets_the_gradient_through() -> None:
    h = torch.tensor([-0.3, -0.0, 0.0, 1e-30, 0.7], requires_grad=True)
    sign = straight_through_sign(h)
    assert sign.tolist() == [-1, -1, -1, 1, 1]
    torch.autograd.backward((sign * torch.arange(5.0)).sum())
    assert h.grad is not None
    assert h.grad.tolist() == [0, 1, 2, 3, 4]


def test_the_penalty_by_hand() -> None:
    # (0.5^3 + 0 + 0.5^3 + 1) / 4
    assert sign_penalty(torch.tensor([0.5, 1.0, -0.5, 0.0])).item() == pytest.approx(0.3125)
