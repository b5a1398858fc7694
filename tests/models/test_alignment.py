"""The alignments with negatives against plain loops, and their negatives."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.models.alignment import (
    MAX_SCALE,
    AlignmentScale,
    alignment_loss,
    info_nce_loss,
    learned_scale,
    negative_pairs,
    sigmoid_loss,
)
from siglip2_multimodal_hash.models.losses import HeadLoss
from tests.models.heads import head_config, loss_params, network, pairs, random_labels

Array = npt.NDArray[np.float64]


def plain_sigmoid(cosines: Array, negative: npt.NDArray[np.bool_], t: float, b: float) -> float:
    total = 0.0
    for i in range(len(cosines)):
        for j in range(len(cosines)):
            if i == j or negative[i, j]:
                z = 1 if i == j else -1
                total -= np.log(1 / (1 + np.exp(-z * (t * cosines[i, j] + b))))
    return total / len(cosines)


def plain_info_nce(cosines: Array, negative: npt.NDArray[np.bool_], t: float) -> float:
    total = 0.0
    for table in (cosines, cosines.T):
        for i, row in enumerate(table):
            rivals = [np.exp(t * c) for j, c in enumerate(row) if i == j or negative[i, j]]
            total -= np.log(np.exp(t * row[i]) / sum(rivals))
    return total / (2 * len(cosines))


def units(generator: np.random.Generator, count: int) -> Array:
    drawn = generator.normal(size=(count, 5))
    norms: Array = np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn / norms


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 7),
    temperature=st.sampled_from([0.07, 0.1, 1.0]),
)
@settings(max_examples=40)
def test_both_are_their_formulas(seed: int, count: int, temperature: float) -> None:
    generator = np.random.default_rng(seed)
    cosines = units(generator, count) @ units(generator, count).T
    labels = torch.from_numpy(generator.integers(0, 2, (count, 2)).astype(np.float64))
    negative = negative_pairs(labels)
    table, scale = torch.from_numpy(cosines), 1 / temperature
    assert sigmoid_loss(table, negative, scale, -10.0).item() == pytest.approx(
        plain_sigmoid(cosines, negative.numpy(), scale, -10.0), rel=1e-9
    )
    assert info_nce_loss(table, negative, scale).item() == pytest.approx(
        plain_info_nce(cosines, negative.numpy(), scale), rel=1e-9, abs=1e-12
    )


def test_sigmoid_by_hand() -> None:
    # Logits 0 everywhere: each of the four pairs costs ln 2, over a batch of two.
    table, negative = torch.ones(2, 2), ~torch.eye(2, dtype=torch.bool)
    assert sigmoid_loss(table, negative, 10.0, -10.0).item() == pytest.approx(2 * np.log(2))


def test_info_nce_by_hand() -> None:
    # All alike: one of two is found by chance.
    table, negative = torch.ones(2, 2), ~torch.eye(2, dtype=torch.bool)
    assert info_nce_loss(table, negative, 10.0).item() == pytest.approx(np.log(2))
    assert info_nce_loss(torch.ones(1, 1), negative[:1, :1], 10.0).item() == 0


def test_images_of_the_same_labels_are_no_negatives() -> None:
    labels = torch.tensor([[1, 0, 1], [1, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1]])
    found = negative_pairs(labels.float())
    expected = ~torch.eye(6, dtype=torch.bool)
    expected[0, 1] = expected[1, 0] = False  # the two without any label stay negatives
    assert torch.equal(found, expected)


def test_what_is_no_negative_has_no_gradient() -> None:
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    for loss in (sigmoid_loss, info_nce_loss):
        table = torch.zeros(3, 3, requires_grad=True)
        extra = (0.0,) if loss is sigmoid_loss else ()
        torch.autograd.backward(loss(table, negative_pairs(labels), 1.0, *extra))
        assert table.grad is not None
        assert table.grad[0, 1] == table.grad[1, 0] == 0
        assert table.grad[0, 2] > 0
        assert table.grad[0, 0] < 0


@pytest.mark.parametrize("alignment", ["sigmoid", "infonce"])
def test_the_head_weighs_it_and_batches_are_apart(alignment: str) -> None:
    params = loss_params(alignment=alignment, cosine_weight=0.7, bce_weight=0.0, hash_weight=0.0)
    head, labels = network(), random_labels(12)
    output = head(*pairs(12))
    parts = HeadLoss(params)(output, labels, batches=3)
    assert parts.alignment is not None
    assert parts.total.item() == pytest.approx(0.7 * parts.alignment.item())
    apart = [
        alignment_loss(params, d_img[None], d_txt[None], y[None])
        for d_img, d_txt, y in zip(
            *(torch.split(v, 4) for v in (output.d_img, output.d_txt, labels)), strict=True
        )
    ]
    torch.testing.assert_close(parts.alignment, torch.stack(apart).mean())


def test_a_learned_temperature_starts_at_the_set_one_and_is_bounded() -> None:
    params = loss_params(alignment="sigmoid", temperature=0.2, learn_temperature=True)
    scale = learned_scale(params, head_config())
    assert scale is not None
    assert scale.scale().item() == pytest.approx(5.0)
    head, labels = network(), random_labels(6)
    output = head(*pairs(6))
    fixed = HeadLoss(loss_params(alignment="sigmoid", temperature=0.2))(output, labels)
    learned = HeadLoss(params, scale=scale)(output, labels)
    torch.testing.assert_close(learned.total, fixed.total)
    torch.autograd.backward(learned.total)
    assert all(v.grad is not None and v.grad != 0 for v in scale.parameters())
    with torch.no_grad():
        scale.log_scale.fill_(20.0)
    assert scale.scale().item() == pytest.approx(MAX_SCALE)
    # From the bound it can come back: it has a gradient there, and is not far beyond.
    scale.zero_grad()
    torch.autograd.backward(HeadLoss(params, scale=scale)(head(*pairs(6)), labels).total)
    assert scale.log_scale.grad is not None
    assert scale.log_scale.grad != 0
    assert scale.log_scale.item() == pytest.approx(np.log(MAX_SCALE))


def test_only_what_is_used_is_learned() -> None:
    learn = {"alignment": "infonce", "learn_temperature": True}
    for params in (
        loss_params(**learn | {"alignment": "cosine"}),
        loss_params(alignment="infonce"),
        loss_params(**learn, cosine_weight=0.0),
    ):
        assert learned_scale(params, head_config()) is None
    for head in ({"fusion": "raw"}, {"fusion": "concat", "modalities": "image"}):
        assert learned_scale(loss_params(**learn), head_config(**head)) is None
    found = AlignmentScale(loss_params(**learn))
    assert [name for name, _ in found.named_parameters()] == ["log_scale"]
