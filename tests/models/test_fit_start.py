"""Start of a fit: standardised inputs and the classes' prior."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.baselines.linear_codes import fit_itq
from siglip2_multimodal_hash.models.initialisation import (
    FitStart,
    set_class_prior,
    standardise_inputs,
)
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.retrieval.codes import binarize
from tests.models.heads import BITS, CLASSES, head_config, network, pairs


def batches(
    v_img: torch.Tensor, v_txt: torch.Tensor, size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return zip(torch.split(v_img, size), torch.split(v_txt, size), strict=True)


@pytest.mark.parametrize(
    "changes",
    [{}, {"fusion": "raw", "bits": 0}, {"fusion": "concat", "modalities": "caption"}],
)
def test_the_mlp_sees_mean_0_and_variance_1(changes: dict[str, Any]) -> None:
    head, (v_img, v_txt) = network(**changes), pairs(500)
    standardise_inputs(head, batches(v_img, v_txt, 64))
    x = head.fusion.standardise(head.fusion_input(v_img, v_txt)).detach().double().numpy()
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=0), 1, rtol=1e-4)


def test_a_shared_scale_keeps_the_proportions_of_the_columns() -> None:
    """Directions and products by one scale, each log-magnitude by its own."""
    head, (v_img, v_txt) = network(), pairs(500)
    standardise_inputs(head, batches(v_img, v_txt, 64), shared=True)
    raw = head.fusion_input(v_img, v_txt).detach().double().numpy()
    x = head.fusion.standardise(torch.from_numpy(raw)).numpy()
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-4)
    alike, magnitudes = x[:, :-2], x[:, -2:]
    np.testing.assert_allclose(alike.var(axis=0).mean(), 1, rtol=1e-4)
    ratio = alike.std(axis=0) / raw[:, :-2].std(axis=0)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    np.testing.assert_allclose(magnitudes.std(axis=0), 1, rtol=1e-4)


def test_magnitudes_alone_have_a_scale_each() -> None:
    head, (v_img, v_txt) = network(fusion="magnitude"), pairs(200)
    standardise_inputs(head, [(v_img, v_txt)], shared=True)
    x = head.fusion.standardise(head.fusion_input(v_img, v_txt)).detach().numpy()
    np.testing.assert_allclose(x.std(axis=0), 1, rtol=1e-4)


def test_the_size_of_the_batches_changes_nothing() -> None:
    v_img, v_txt = pairs(100)
    one, other = network(), network()
    standardise_inputs(one, batches(v_img, v_txt, 100))
    standardise_inputs(other, batches(v_img, v_txt, 7))
    torch.testing.assert_close(one.fusion.standardise.mean, other.fusion.standardise.mean)
    torch.testing.assert_close(one.fusion.standardise.scale, other.fusion.standardise.scale)


def test_a_magnitude_that_is_the_same_everywhere_is_not_blown_up() -> None:
    head, (v_img, v_txt) = network(), pairs(200)
    unit = v_img / v_img.norm(dim=1, keepdim=True)
    standardise_inputs(head, [(unit, v_txt)])
    m_img = head.fusion.standardise(head.fusion_input(unit, v_txt))[:, -2]
    assert m_img.abs().max() < 1e-5


def test_standardising_leaves_what_the_head_can_express() -> None:
    """A linear layer can undo it: (x - mean) * scale = x again after W / scale, b + W mean."""
    plain, standardised = network(), network()
    standardise_inputs(standardised, [(pairs(50)[0], pairs(50)[1])])
    layer, first = standardised.fusion.standardise, standardised.fusion.layers[0]
    assert isinstance(first, torch.nn.Linear)
    with torch.no_grad():
        first.bias.add_(first.weight @ layer.mean)
        first.weight.div_(layer.scale)
    torch.testing.assert_close(
        standardised(*pairs(5)).logits, plain(*pairs(5)).logits, rtol=1e-4, atol=1e-4
    )


def test_the_prior_becomes_the_bias_of_the_classifier() -> None:
    prior = torch.tensor([-1.0, -2.0, -3.0, 0.5])
    head = network()
    set_class_prior(head, prior)
    assert torch.equal(head.classifier.bias.detach(), prior)
    without: HashNetwork = network(classifier_bias=False)
    before = {name: v.clone() for name, v in without.state_dict().items()}
    set_class_prior(without, prior)
    assert all(torch.equal(before[name], v) for name, v in without.state_dict().items())


def started(start: FitStart, **changes: Any) -> HashNetwork:
    torch.manual_seed(0)
    head = start.build(head_config(**changes))
    seen = [(pairs(50)[0], pairs(50)[1])]
    start.apply(head, lambda: seen, lambda: seen, torch.arange(float(CLASSES)), seed=3)
    return head


def test_the_start_is_by_default_what_the_two_steps_make_it() -> None:
    by_hand = network()
    standardise_inputs(by_hand, [(pairs(50)[0], pairs(50)[1])])
    set_class_prior(by_hand, torch.arange(float(CLASSES)))
    found = started(FitStart()).state_dict()
    assert all(torch.equal(found[name], v) for name, v in by_hand.state_dict().items())


def test_the_plans_start_is_pytorchs_own() -> None:
    """Weights and biases uniform within 1 / sqrt(inputs); no statistics, no prior."""
    plan = started(FitStart(standardise="none", init="default", prior=False), adapter="linear")
    assert torch.equal(plan.fusion.standardise.scale, torch.ones(plan.config.input_dim))
    assert torch.equal(plan.state_dict()["image_adapter.weight"], torch.eye(plan.config.image_dim))
    mlp = [layer for layer in plan.fusion.layers if isinstance(layer, torch.nn.Linear)]
    for layer in (*mlp, plan.hash_layer, plan.classifier):
        assert layer is not None
        bound = layer.in_features**-0.5
        for v in (layer.weight, layer.bias):
            assert 0.5 * bound < v.detach().abs().max() <= bound
    again = started(FitStart(standardise="none", init="default", prior=False), adapter="linear")
    assert torch.equal(again.classifier.weight, plan.classifier.weight)


@pytest.mark.parametrize("changes", [{"bits": 0}, {"classifier_bias": False}])
def test_the_plans_start_suits_heads_with_less(changes: dict[str, Any]) -> None:
    started(FitStart(standardise="none", init="default", prior=False), **changes)


def test_without_standardisation_the_bits_of_itq_split_train_all_the_same() -> None:
    head = started(FitStart(standardise="none", shortcut="itq"), shortcut=True)
    assert head.hash_layer is not None
    assert head.hash_layer.shortcut is not None
    x = head.mlp_input(*pairs(50))
    linear = head.hash_layer.shortcut(x) + head.hash_layer.bias
    np.testing.assert_allclose(linear.detach().mean(0).numpy(), 0, atol=1e-4)


def test_a_shortcut_starts_as_the_code_of_itq() -> None:
    """As the baseline has it, of the MLP's input, and with variance 1 of each bit."""
    head = started(FitStart(shortcut="itq"), shortcut=True)
    assert head.hash_layer is not None
    assert head.hash_layer.shortcut is not None
    x = head.mlp_input(*pairs(50))
    code = head.hash_layer.shortcut(x).detach().numpy()
    expected = fit_itq(x.numpy(), BITS, seed=3).encode(x.numpy())
    np.testing.assert_array_equal(binarize(code), expected)
    np.testing.assert_allclose(code.std(axis=0), 1, rtol=1e-4)
    random = started(FitStart(shortcut="random"), shortcut=True)
    assert random.hash_layer is not None
    assert random.hash_layer.shortcut is not None
    assert not torch.equal(random.hash_layer.shortcut.weight, head.hash_layer.shortcut.weight)


def test_a_shortcut_may_be_wider_than_its_input() -> None:
    head = started(FitStart(shortcut="itq"), shortcut=True, fusion="magnitude")
    assert head.hash_layer is not None
    assert head.hash_layer.shortcut is not None
    assert head.hash_layer.shortcut.weight.isfinite().all()


def test_each_switch_is_one_of_its_own() -> None:
    heads = {
        "standardise": started(FitStart(standardise="none")).state_dict(),
        "init": started(FitStart(init="default")).state_dict(),
        "prior": started(FitStart(prior=False)).state_dict(),
    }
    plain = started(FitStart()).state_dict()
    changed = {
        name: {key for key, v in head.items() if not torch.equal(v, plain[key])}
        for name, head in heads.items()
    }
    assert changed["standardise"] == {"fusion.standardise.mean", "fusion.standardise.scale"}
    assert changed["prior"] == {"classifier.bias"}
    assert not changed["init"] & (changed["standardise"] | changed["prior"])
    assert "hash_layer.weight" in changed["init"]
