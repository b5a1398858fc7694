"""Batch normalisation before the sign: training rows, the running mean, one row, the checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.hashing import HashLayer
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.checkpoint import load_head
from siglip2_multimodal_hash.training.loop import Checkpoints, fit
from tests.models.heads import head_config, network, pairs
from tests.training.small_fits import (
    checkpointing,
    small_head,
    small_settings,
    small_training,
    small_validation,
)


def layer_of(u: torch.Tensor) -> HashLayer:
    """A layer that hands its input on to the normalisation."""
    layer = HashLayer(u.shape[1], u.shape[1], "batchnorm")
    with torch.no_grad():
        layer.weight.copy_(torch.eye(u.shape[1]))
        layer.bias.zero_()
    return layer


def test_in_training_each_bit_has_mean_0_and_variance_1() -> None:
    u = torch.tensor([[1.0, 5.0], [3.0, 9.0]])
    # (1 - 2) / 1 and (5 - 7) / 2, but for the eps of 1e-5 under the root.
    expected = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    torch.testing.assert_close(layer_of(u).pre_code(u), expected, rtol=1e-4, atol=0)


def test_in_eval_the_running_mean_decides_and_a_row_depends_on_no_other() -> None:
    u = torch.randn(200, 16, generator=torch.Generator().manual_seed(0)) * 3 + 7
    layer = layer_of(u)
    for _ in range(200):
        layer(u)
    layer.eval()
    expected = np.tanh((u.numpy() - u.numpy().mean(0)) / u.numpy().std(0, ddof=1))
    np.testing.assert_allclose(layer(u).detach().numpy(), expected, atol=1e-3)
    torch.testing.assert_close(layer(u[3:4]), layer(u)[3:4])


def test_one_row_in_training_is_judged_by_the_running_mean() -> None:
    layer = layer_of(torch.zeros(1, 4))
    row = torch.tensor([[0.5, -0.5, 2.0, 0.0]])
    torch.testing.assert_close(layer.pre_code(row), row, rtol=1e-4, atol=0)
    assert layer.normalise is not None
    assert layer.normalise.running_mean is not None
    assert layer.normalise.running_mean.eq(0).all()


def test_encode_uses_the_running_mean_whatever_the_mode() -> None:
    head, (v_img, v_txt) = network(normalize="batchnorm"), pairs(20)
    for _ in range(30):
        head(v_img, v_txt)
    assert head.training
    before = {name: v.clone() for name, v in head.state_dict().items()}
    whole, _ = head.encode(v_img, v_txt)
    single, _ = head.encode(v_img[5:6], v_txt[5:6])
    torch.testing.assert_close(single, whole[5:6])
    assert head.training
    assert all(torch.equal(before[name], v) for name, v in head.state_dict().items())


def test_without_it_there_is_nothing_to_store() -> None:
    plain, normalised = network(), network(normalize="batchnorm")
    extra = normalised.state_dict().keys() - plain.state_dict().keys()
    assert extra == {
        f"hash_layer.normalise.{name}"
        for name in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert "normalize" not in head_config().to_json()
    # The same numbers are drawn at the start.
    for name, v in plain.state_dict().items():
        assert torch.equal(v, normalised.state_dict()[name])


def test_the_choice_goes_through_json() -> None:
    config = head_config(normalize="batchnorm")
    assert HeadConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(ParamsError, match="normalize = 'layer': input should be 'none' or"):
        HeadConfig.from_json(config.to_json() | {"normalize": "layer"})


@pytest.mark.parametrize("objective", ["plan", "pairwise", "central", "discrete_pairwise"])
def test_a_fit_leaves_a_checkpoint_with_the_statistics(tmp_path: Path, objective: str) -> None:
    """49 images in batches of 16: the last batch is one image."""
    settings = small_settings(loss={"objective": objective})
    config, folder = small_head(normalize="batchnorm"), tmp_path / "head"
    val = small_validation()
    result = fit(config, small_training(49), val, settings, Checkpoints(folder, checkpointing()))
    loaded, found = load_head(folder)
    assert found == config
    assert isinstance(loaded, HashNetwork)
    layer = loaded.hash_layer
    assert layer is not None
    assert layer.normalise is not None
    assert layer.normalise.num_batches_tracked is not None
    assert int(layer.normalise.num_batches_tracked) == 3 * result.best_epoch
    expected = result.network.encode(val.v_img, val.v_txt)[0]
    assert torch.equal(loaded.encode(val.v_img, val.v_txt)[0], expected)


@pytest.mark.parametrize("objective", ["pairwise", "central", "orthogonal", "discrete_pairwise"])
def test_every_objective_fits_in_low_precision(objective: str) -> None:
    settings = small_settings(
        loss={"objective": objective}, training={"mixed_precision": "bfloat16"}
    )
    result = fit(small_head(normalize="batchnorm"), small_training(), small_validation(), settings)
    assert all(np.isfinite(list(record.values())).all() for record in result.history)
    assert {"train_code", "val_code"} <= result.history[-1].keys()
    assert "train_balance" not in result.history[-1]
