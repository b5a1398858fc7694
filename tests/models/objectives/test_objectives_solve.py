"""Tiny problems that each objective must solve: clusters that get codes of their own."""

from typing import Any

import pytest
import torch

from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork
from tests.models.heads import CLASSES, head_config, loss_params, pairs, random_labels

OBJECTIVES = ("pairwise", "central", "orthogonal", "discrete", "discrete_pairwise")
STEPS = 150


def clusters(copies: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs around a point a class, each with that label alone."""
    points = pairs(CLASSES, seed=5)
    noise = pairs(CLASSES * copies, seed=6)
    v_img, v_txt = (
        one.repeat(copies, 1) + 0.05 * off for one, off in zip(points, noise, strict=True)
    )
    return v_img, v_txt, torch.eye(CLASSES).repeat(copies, 1)


def fitted(
    objective: str, v_img: torch.Tensor, v_txt: torch.Tensor, labels: torch.Tensor, **changes: Any
) -> HashNetwork:
    torch.manual_seed(0)
    head = HashNetwork(head_config(normalize="batchnorm"))
    params = loss_params(objective=objective, code_weight=1.0, **changes)
    loss = HeadLoss(params, classify=head.classifier)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02)
    for step in range(STEPS):
        parts = loss(head(v_img, v_txt), labels, progress=step / STEPS)
        optimizer.zero_grad()
        torch.autograd.backward(parts.total)
        optimizer.step()
    return head.eval()


def require_clusters(code: torch.Tensor, labels: torch.Tensor) -> None:
    """Items of a class agree in more bits than any two of different classes do."""
    bits = torch.where(code > 0, 1.0, -1.0)
    agreement = bits @ bits.T
    alike = labels @ labels.T > 0
    assert agreement[alike].min() > agreement[~alike].max()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_clusters_get_codes_of_their_own(objective: str) -> None:
    v_img, v_txt, labels = clusters()
    code, scores = fitted(objective, v_img, v_txt, labels).encode(v_img, v_txt)
    require_clusters(code, labels)
    assert torch.equal(scores.argmax(dim=1), labels.argmax(dim=1))


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "discrete"])
def test_the_code_is_learnt_without_the_classifier(objective: str) -> None:
    v_img, v_txt, labels = clusters()
    code, _ = fitted(objective, v_img, v_txt, labels, bce_weight=0.0).encode(v_img, v_txt)
    require_clusters(code, labels)


def test_the_term_of_discrete_draws_every_bit_to_the_same_size() -> None:
    """Batch normalisation gives u a mean square of 1, so |h| cannot be beyond tanh(1) = 0.76."""
    v_img, v_txt, labels = clusters()
    head = fitted("discrete", v_img, v_txt, labels, bce_weight=0.0)
    sizes = head.encode(v_img, v_txt)[0].abs()
    assert 0.7 < sizes.mean() < 0.77


def test_the_classifier_of_a_discrete_objective_sees_the_signs() -> None:
    torch.manual_seed(0)
    head, labels = HashNetwork(head_config()), random_labels(7)
    output = head(*pairs(7))
    assert output.soft_code is not None
    found = HeadLoss(loss_params(objective="discrete"), classify=head.classifier)(output, labels)
    signs = torch.where(output.soft_code > 0, 1.0, -1.0)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(head.classifier(signs), labels)
    torch.testing.assert_close(found.bce, expected)
    assert set(found.present()) == {"total", "bce", "alignment", "code"}
    with pytest.raises(ValueError, match="needs the classifier"):
        HeadLoss(loss_params(objective="discrete"))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_batches_together_give_the_mean_of_their_losses(objective: str) -> None:
    torch.manual_seed(0)
    head, labels = HashNetwork(head_config()), random_labels(12)
    params = loss_params(objective=objective, code_weight=0.7)
    loss, output = HeadLoss(params, classify=head.classifier), head(*pairs(12))
    # Items without a label do not count in `orthogonal`: as many in each batch.
    labels[labels.sum(dim=1) == 0, 0] = 1
    together = loss(output, labels, 3, 0.5)
    apart = [loss(output.rows(n, n + 4), labels[n : n + 4], 1, 0.5).total for n in (0, 4, 8)]
    torch.testing.assert_close(together.total, torch.stack(apart).mean())
    assert together.alignment is not None
    assert together.code is not None
    expected = together.bce + together.alignment + 0.7 * together.code
    torch.testing.assert_close(together.total, expected)


@pytest.mark.parametrize("objective", ["plan", *OBJECTIVES])
def test_without_a_hash_layer_the_classes_remain(objective: str) -> None:
    torch.manual_seed(0)
    head, labels = HashNetwork(head_config(bits=0)), random_labels(5)
    loss = HeadLoss(loss_params(objective=objective), classify=head.classifier)
    parts = loss(head(*pairs(5)), labels)
    assert set(parts.present()) == {"total", "bce", "alignment"}
