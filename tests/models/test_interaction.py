"""Learnt interactions against their formulas, and that a fit can use them."""

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.models.fusion import ContextGate, LowRankBilinear
from tests.models.heads import DIM, network, pairs


def test_the_gate_by_hand() -> None:
    gate = ContextGate(2)
    x = torch.tensor([[2.0, -4.0]])
    assert gate(x).tolist() == [[1.0, -2.0]]  # half at the start
    with torch.no_grad():
        gate.gate.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
        gate.gate.bias.copy_(torch.tensor([np.log(3.0), 0.0]))
    # sigmoid(log 3) = 3/4; 1 * 2 + 0.5 * -4 = 0, and sigmoid(0) = 1/2.
    torch.testing.assert_close(gate(x), torch.tensor([[1.5, -2.0]]))


def test_low_rank_bilinear_is_a_bilinear_form_of_that_rank() -> None:
    torch.manual_seed(0)
    layer = LowRankBilinear(3, 2, dim=4, rank=2)
    with torch.no_grad():
        for linear in (layer.image, layer.caption):
            linear.bias.zero_()
    image, caption = np.random.default_rng(1).standard_normal((2, 5, 3))
    caption = caption[:, :2]
    a = layer.image.weight.detach().numpy().reshape(2, 4, 3)
    b = layer.caption.weight.detach().numpy().reshape(2, 4, 2)
    # T[k, i, j] = sum_r A[r, k, i] B[r, k, j]: one matrix of rank 2 for each element k.
    core = np.einsum("rki,rkj->kij", a, b) / np.sqrt(2)
    expected = np.einsum("ni,kij,nj->nk", image, core, caption)
    x = torch.from_numpy(np.concatenate([image, caption], axis=1)).float()
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert np.linalg.matrix_rank(core, tol=1e-6).max() == 2


def test_low_rank_bilinear_keeps_the_variance_of_standardised_inputs() -> None:
    torch.manual_seed(0)
    result = LowRankBilinear(64, 48, dim=64, rank=5)(torch.randn(4096, 112))
    assert result.mean().abs() < 0.05
    assert result.var().item() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("fusion", ["gated", "low_rank_bilinear"])
def test_interactions_take_unequal_widths_and_get_gradients(fusion: str) -> None:
    head = network(fusion=fusion, caption_dim=4)
    output = head(*pairs(5, image_dim=DIM, caption_dim=4))
    output.logits.square().sum().backward()
    weights = dict(head.fusion.interaction.named_parameters())
    assert weights
    assert all(weight.grad is not None and weight.grad.any() for weight in weights.values())


def test_magnitude_alone_knows_nothing_of_the_direction() -> None:
    v_img, v_txt = pairs(4)
    head = network(fusion="magnitude").eval()
    turned = head(v_img.flip(1), -v_txt)
    assert torch.equal(turned.logits, head(v_img, v_txt).logits)
    assert not torch.equal(head(2 * v_img, v_txt).logits, turned.logits)
    single = network(fusion="magnitude", modalities="caption")
    expected = (v_txt.norm(dim=1, keepdim=True) + 1e-6).log()
    torch.testing.assert_close(single.fusion_input(None, v_txt), expected)
