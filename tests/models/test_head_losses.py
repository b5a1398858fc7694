"""Every term of the objective and their sum against NumPy in float64."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.models.alignment import cosine_loss
from siglip2_multimodal_hash.models.losses import (
    MAX_POSITIVE_WEIGHT,
    HeadLoss,
    asymmetric_loss,
    focal_loss,
    positive_weights,
)
from siglip2_multimodal_hash.models.network import HeadOutput
from tests.models.heads import loss_params, network, pairs, random_labels

Array = npt.NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def plain_cross_entropy(logits: Array, labels: Array, weight: Array | float = 1.0) -> float:
    p = sigmoid(logits)
    return float(-(weight * labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean())


def plain_focal(logits: Array, labels: Array, alpha: float, gamma: float) -> float:
    p = sigmoid(logits)
    positives = -alpha * (1 - p) ** gamma * np.log(p)
    negatives = -(1 - alpha) * p**gamma * np.log(1 - p)
    return float(np.where(labels == 1, positives, negatives).mean())


def plain_asymmetric(
    logits: Array, labels: Array, gamma_pos: float, gamma_neg: float, clip: float
) -> float:
    p = sigmoid(logits)
    shifted = np.maximum(p - clip, 0)
    positives = -((1 - p) ** gamma_pos) * np.log(p)
    negatives = -(shifted**gamma_neg) * np.log(1 - shifted)
    return float(np.where(labels == 1, positives, negatives).mean())


def output_of(logits: torch.Tensor) -> HeadOutput:
    return HeadOutput(logits, logits, None, None, None, None, None)


@given(
    seed=st.integers(0, 2**32 - 1),
    gamma_pos=st.sampled_from([0.0, 1.0, 2.5]),
    gamma_neg=st.sampled_from([0.0, 0.5, 4.0]),
    clip=st.sampled_from([0.0, 0.05, 0.5]),
)
@settings(max_examples=40)
def test_asymmetric_is_the_formula(
    seed: int, gamma_pos: float, gamma_neg: float, clip: float
) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(5, 3)) * 3
    labels = generator.integers(0, 2, (5, 3)).astype(np.float64)
    found = asymmetric_loss(
        torch.from_numpy(logits), torch.from_numpy(labels), gamma_pos, gamma_neg, clip
    )
    expected = plain_asymmetric(logits, labels, gamma_pos, gamma_neg, clip)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_asymmetric_by_hand() -> None:
    # p = 1/2: a positive costs ln 2, a negative 0.45^4 * -ln(0.55) at a clip of 0.05.
    zero = torch.zeros(1, 1)
    positive = asymmetric_loss(zero, torch.ones(1, 1), 0.0, 4.0, 0.05).item()
    negative = asymmetric_loss(zero, torch.zeros(1, 1), 0.0, 4.0, 0.05).item()
    assert positive == pytest.approx(0.693147, rel=1e-5)
    assert negative == pytest.approx(0.041006 * 0.597837, rel=1e-4)


def test_asymmetric_leaves_easy_negatives_alone() -> None:
    logits = torch.tensor([[-3.0, -2.9]], requires_grad=True)  # p = 0.0474 and 0.0522
    torch.autograd.backward(asymmetric_loss(logits, torch.zeros(1, 2), 0.0, 1.0, 0.05))
    assert logits.grad is not None
    assert logits.grad[0, 0] == 0
    assert logits.grad[0, 1] > 0


def test_asymmetric_without_focusing_and_clip_is_the_cross_entropy() -> None:
    logits, labels = torch.randn(6, 4), random_labels(6)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    torch.testing.assert_close(asymmetric_loss(logits, labels, 0.0, 0.0, 0.0), plain)


@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 4.0])
def test_asymmetric_is_finite_with_finite_gradients_at_extreme_logits(
    gamma: float, clip: float
) -> None:
    logits = torch.tensor([[-1e4, 1e4, -80.0, 80.0, 1e4, -1e4]], requires_grad=True)
    labels = torch.tensor([[1.0, 0.0, 0.0, 1.0, 1.0, 0.0]])
    loss = asymmetric_loss(logits, labels, gamma, gamma, clip)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@given(
    seed=st.integers(0, 2**32 - 1),
    alpha=st.sampled_from([0.1, 0.25, 0.5, 0.9]),
    gamma=st.sampled_from([0.0, 1.0, 2.0, 3.5]),
)
@settings(max_examples=40)
def test_focal_is_the_formula(seed: int, alpha: float, gamma: float) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(5, 3)) * 3
    labels = generator.integers(0, 2, (5, 3)).astype(np.float64)
    found = focal_loss(torch.from_numpy(logits), torch.from_numpy(labels), alpha, gamma)
    assert found.item() == pytest.approx(plain_focal(logits, labels, alpha, gamma), rel=1e-9)


def test_point_8_alpha_weights_positives_and_one_minus_alpha_negatives() -> None:
    # At logit 0 p_t = 1/2 for either label: what differs is alpha_t alone.
    zero = torch.zeros(1, 1)
    positive = focal_loss(zero, torch.ones(1, 1), alpha=0.25, gamma=2.0).item()
    negative = focal_loss(zero, torch.zeros(1, 1), alpha=0.25, gamma=2.0).item()
    assert positive == pytest.approx(0.25 * 0.5**2 * np.log(2))
    assert negative == pytest.approx(0.75 * 0.5**2 * np.log(2))


def test_focal_without_focusing_is_half_the_cross_entropy_at_alpha_one_half() -> None:
    logits, labels = torch.randn(6, 4), random_labels(6)
    half = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels) / 2
    torch.testing.assert_close(focal_loss(logits, labels, 0.5, 0.0), half)


def test_focal_is_finite_and_has_finite_gradients_at_extreme_logits() -> None:
    logits = torch.tensor([[-1e4, 1e4, -80.0, 80.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[1.0, 0.0, 0.0, 1.0]]), 0.25, 2.0)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_positive_weights_by_hand() -> None:
    # Positives of four images: 1, 2, 4 and 0; negatives / positives.
    labels = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0]])
    assert positive_weights(labels).tolist() == [3.0, 1.0, 0.0, 4.0]


def test_the_weight_of_a_very_rare_class_is_capped() -> None:
    labels = torch.zeros(1000, 1)
    labels[0] = 1
    assert positive_weights(labels).tolist() == [MAX_POSITIVE_WEIGHT]


def test_class_weights_weight_the_positives() -> None:
    logits, labels = torch.randn(6, 4), random_labels(6)
    weights = torch.tensor([1.0, 2.0, 5.0, 0.5])
    found = HeadLoss(loss_params(imbalance="class_weights"), weights)(output_of(logits), labels)
    expected = plain_cross_entropy(logits.double().numpy(), labels.numpy(), weights.numpy())
    assert found.bce.item() == pytest.approx(expected, rel=1e-5)


def test_class_weights_without_weights_is_a_defect() -> None:
    with pytest.raises(ValueError, match="positive_weights"):
        HeadLoss(loss_params(imbalance="class_weights"))


def test_cosine_by_hand() -> None:
    d_img = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    d_txt = torch.tensor([[1.0, 0.0], [0.8, -0.6], [0.0, -1.0]])
    # 1 - cos: 0, 1 and 2.
    assert cosine_loss(d_img, d_txt).item() == pytest.approx(1.0)


@pytest.mark.parametrize("imbalance", ["none", "focal", "class_weights", "asymmetric"])
def test_the_total_is_the_weighted_sum(imbalance: str) -> None:
    params = loss_params(
        bce_weight=2.0,
        cosine_weight=0.7,
        hash_weight=0.3,
        lambda_balance=0.4,
        lambda_decorr=60.0,  # as large a part of the total as the others
        imbalance=imbalance,
    )
    labels, weights = random_labels(9), torch.tensor([1.0, 2.0, 3.0, 4.0])
    output = network()(*pairs(9))
    parts = HeadLoss(params, weights)(output, labels)

    logits, h, d_img, d_txt = (
        v.detach().double().numpy()
        for v in (output.logits, output.soft_code, output.d_img, output.d_txt)
    )
    if imbalance == "focal":
        bce = plain_focal(logits, labels.numpy(), 0.25, 2.0)
    elif imbalance == "asymmetric":
        bce = plain_asymmetric(logits, labels.numpy(), 0.0, 4.0, 0.05)
    else:
        weight = weights.numpy() if imbalance == "class_weights" else 1.0
        bce = plain_cross_entropy(logits, labels.numpy(), weight)
    cosine = 1 - (d_img * d_txt).sum(axis=1).mean()
    quantisation = ((np.abs(h) - 1) ** 2).mean()
    balance = (h.mean(axis=0) ** 2).mean()
    covariance = np.cov(h, rowvar=False, bias=True)
    decorrelation = ((covariance - np.diag(np.diag(covariance))) ** 2).sum() / h.shape[1] ** 2
    total = 2 * bce + 0.7 * cosine + 0.3 * (quantisation + 0.4 * balance + 60 * decorrelation)

    expected = {
        "total": total,
        "bce": bce,
        "alignment": cosine,
        "quantisation": quantisation,
        "balance": balance,
        "decorrelation": decorrelation,
    }
    found = {name: part.item() for name, part in parts.present().items()}
    assert found == pytest.approx(expected, rel=1e-4)


def test_batches_together_give_the_mean_of_their_losses() -> None:
    loss, head, labels = HeadLoss(loss_params()), network(), random_labels(15)
    output = head(*pairs(15))
    together = loss(output, labels, batches=3).present()
    apart = [
        loss(output.rows(start, start + 5), labels[start : start + 5]).present()
        for start in (0, 5, 10)
    ]
    for name, part in together.items():
        torch.testing.assert_close(part, torch.stack([one[name] for one in apart]).mean())
    # The batch matters to these two: all 15 as one batch are something else.
    as_one = loss(output, labels).present()
    assert as_one["balance"] < together["balance"]
    assert not torch.isclose(as_one["decorrelation"], together["decorrelation"], rtol=1e-3)


def test_parts_that_do_not_apply_are_left_out() -> None:
    labels, loss = random_labels(5), HeadLoss(loss_params())
    v_img, v_txt = pairs(5)
    no_hash = loss(network(bits=0)(v_img, v_txt), labels)
    assert set(no_hash.present()) == {"total", "bce", "alignment"}
    single = loss(network(fusion="concat", modalities="image")(v_img, None), labels)
    assert set(single.present()) == {"total", "bce", "quantisation", "balance", "decorrelation"}
    plain = loss(network(fusion="raw", bits=0)(v_img, v_txt), labels)
    assert set(plain.present()) == {"total", "bce"}
    assert plain.total.item() == plain.bce.item()


def test_directions_of_unequal_widths_cannot_be_aligned() -> None:
    output = network(fusion="concat", caption_dim=9)(*pairs(3, caption_dim=9))
    without = HeadLoss(loss_params(cosine_weight=0.0))(output, random_labels(3))
    assert without.alignment is None


def test_half_precision_outputs_are_judged_in_float32() -> None:
    output = network()(*pairs(4))
    low = HeadOutput._make(None if v is None else v.bfloat16() for v in output)
    parts = HeadLoss(loss_params(cosine_weight=0.0))(low, random_labels(4))
    assert parts.total.dtype == parts.bce.dtype == torch.float32
    assert parts.decorrelation is not None
    assert parts.decorrelation.dtype == torch.float32


@pytest.mark.parametrize("imbalance", ["none", "class_weights", "focal"])
def test_prior_logits_minimise_the_loss_among_constants(imbalance: str) -> None:
    """A step to either side of the prior is worse; the half image added hardly moves it."""
    labels = torch.zeros(2000, 2)
    labels[:40, 0], labels[:900, 1] = 1, 1
    params = loss_params(imbalance=imbalance, focal_gamma=0.0)
    loss = HeadLoss(params, positive_weights(labels))
    prior = loss.prior_logits(labels)

    def at(logits: torch.Tensor) -> float:
        return loss(output_of(logits.expand(2000, 2)), labels).bce.item()

    best = at(prior)
    for class_ in range(2):
        for step in (-0.2, 0.2):
            moved = prior.clone()
            moved[class_] += step
            assert at(moved) > best


def test_prior_logits_by_hand_and_finite_for_classes_of_none_and_of_all() -> None:
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    found = HeadLoss(loss_params()).prior_logits(labels)
    expected = np.log([1.5 / 2.5, 0.5 / 3.5, 3.5 / 0.5])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
