"""The whole head: forward by parts, gradients of the alignment, inference."""

import copy

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork, HeadOutput
from tests.models.heads import BITS, CLASSES, loss_params, network, pairs, random_labels


def gradients(head: HashNetwork, cosine_weight: float) -> dict[str, torch.Tensor]:
    """Of the objective with no other term than the alignment where the weight is not 0."""
    head.zero_grad()
    loss = HeadLoss(loss_params(cosine_weight=cosine_weight))
    torch.autograd.backward(loss(head(*pairs(12)), random_labels(12)).total)
    return {name: p.grad.clone() for name, p in head.named_parameters() if p.grad is not None}


def test_point_4_the_cosine_weight_is_inert_without_an_adapter() -> None:
    head = network(adapter="none")
    without, with_cosine = gradients(head, 0.0), gradients(head, 5.0)
    assert without.keys() == with_cosine.keys() == dict(head.named_parameters()).keys()
    assert all(torch.equal(without[name], with_cosine[name]) for name in without)


@pytest.mark.parametrize("adapter", ["linear", "residual"])
def test_point_4_the_cosine_weight_reaches_the_adapters_and_nothing_else(adapter: str) -> None:
    head = network(adapter=adapter)
    without, with_cosine = gradients(head, 0.0), gradients(head, 5.0)
    changed = {name for name in without if not torch.equal(without[name], with_cosine[name])}
    assert {name.split(".")[0] for name in changed} == {"image_adapter", "caption_adapter"}


def test_point_1_the_magnitude_that_comes_out_follows_the_norm() -> None:
    head = network().eval()
    v_img, v_txt = pairs(3)
    near, far = head(v_img, v_txt), head(4 * v_img, v_txt)
    torch.testing.assert_close(far.m_img - near.m_img, torch.full((3, 1), float(np.log(4))))
    torch.testing.assert_close(far.d_img, near.d_img)
    assert torch.equal(far.m_txt, near.m_txt)
    assert not torch.allclose(far.logits, near.logits)


def test_without_magnitudes_the_norm_does_not_matter() -> None:
    head = network(fusion="hadamard").eval()
    v_img, v_txt = pairs(3)
    torch.testing.assert_close(head(4 * v_img, v_txt).logits, head(v_img, v_txt).logits)


@pytest.mark.parametrize("bits", [0, 16])
def test_the_logits_are_a_linear_map_of_the_code(bits: int) -> None:
    head = network(bits=bits).eval()
    output = head(*pairs(5))
    weight, bias = head.classifier.weight, head.classifier.bias
    torch.testing.assert_close(output.logits, output.code @ weight.T + bias)
    assert (output.soft_code is None) == (bits == 0)
    assert output.code.shape == (5, bits or 8)


def test_shapes_of_every_output() -> None:
    output = network()(*pairs(5))
    shapes = {name: tuple(part.shape) for name, part in output._asdict().items()}
    assert shapes == {
        "logits": (5, CLASSES),
        "fused": (5, 8),
        "soft_code": (5, BITS),
        "d_img": (5, 6),
        "d_txt": (5, 6),
        "m_img": (5, 1),
        "m_txt": (5, 1),
        "pre_code": (5, BITS),
    }


def test_an_embedding_that_is_needed_must_be_there() -> None:
    v_img, v_txt = pairs(2)
    with pytest.raises(ValueError, match="v_txt"):
        network()(v_img, None)
    with pytest.raises(ValueError, match="v_img"):
        network()(None, v_txt)


def test_rows_and_joined_undo_each_other() -> None:
    output = network(fusion="concat", modalities="caption")(None, pairs(7)[1])
    again = HeadOutput.joined([output.rows(0, 3), output.rows(3, 6), output.rows(6, 99)])
    for one, other in zip(output, again, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            assert torch.equal(one, other)


def test_encode_gives_soft_codes_and_probabilities() -> None:
    head = network(dropout=0.5)
    code, scores = head.encode(*pairs(6))
    assert head.training  # as before
    output = copy.deepcopy(head).eval()(*pairs(6))
    torch.testing.assert_close(code, output.soft_code)
    torch.testing.assert_close(scores, output.logits.sigmoid())
    assert code.abs().max() <= 1
    assert ((scores >= 0) & (scores <= 1)).all()


def test_encode_without_hash_layer_gives_unit_vectors() -> None:
    head = network(bits=0)
    code, _ = head.encode(*pairs(6))
    torch.testing.assert_close(code.norm(dim=1), torch.ones(6))
    fused = head(*pairs(6)).fused
    torch.testing.assert_close(code, fused / fused.norm(dim=1, keepdim=True))
