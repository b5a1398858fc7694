"""val mAP against scikit-learn, ties included, and the pass that computes it."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from siglip2_multimodal_hash.device import choose_precision
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training import validation
from siglip2_multimodal_hash.training.data import ValidationData
from siglip2_multimodal_hash.training.validation import (
    average_precision,
    mean_average_precision,
    validate,
)
from tests.training.small_fits import CPU, small_head, small_settings, small_validation


def test_by_hand() -> None:
    labels = np.array([[1], [0], [1], [0]])
    assert average_precision(labels, np.array([[0.9], [0.8], [0.7], [0.1]])) == [(1 + 2 / 3) / 2]
    # One threshold admits the first two, of which one is right.
    assert average_precision(labels[:2], np.array([[0.5], [0.5]])) == [0.5]
    assert average_precision(labels[:2][::-1], np.array([[0.5], [0.5]])) == [0.5]


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 60),
    levels=st.sampled_from([1, 2, 4, 10**6]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=50)
def test_scikit_learn_agrees_with_ties(seed: int, rows: int, levels: int, dtype: Any) -> None:
    generator = np.random.default_rng(seed)
    labels = (generator.random((rows, 5)) < 0.3).astype(np.uint8)
    labels[:, 0], labels[0, 1] = 0, 1
    scores = (generator.integers(0, levels, (rows, 5)) / levels).astype(dtype)
    found = average_precision(labels, scores)
    some = labels.any(axis=0)
    expected = [average_precision_score(labels[:, c], scores[:, c]) for c in np.flatnonzero(some)]
    np.testing.assert_allclose(found[some], expected, atol=1e-12)
    # A class without positives has no AP and is left out of the mean.
    assert np.isnan(found[~some]).all()
    assert mean_average_precision(labels, scores) == pytest.approx(np.mean(expected), abs=1e-12)


def test_no_label_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no image has a label"):
        mean_average_precision(np.zeros((3, 2)), np.ones((3, 2)))


def new_network() -> HashNetwork:
    torch.manual_seed(5)
    return HashNetwork(small_head(dropout=0.5))


def run(network: HashNetwork, data: ValidationData, batch_size: int) -> tuple[Any, float]:
    options = small_settings(training={"batch_size": batch_size})
    loss = HeadLoss(options.loss)
    return validate(network, loss, data, choose_precision("off", CPU), options, place="epoch 1/2")


def test_map_and_losses_of_a_pass() -> None:
    """40 images in batches of 16: the losses weigh the last batch of 8 by its size."""
    network, data = new_network(), small_validation(40)
    losses, val_map = run(network, data, 16)
    assert not network.training
    output = network(data.v_img, data.v_txt)
    scores, labels = output.logits.sigmoid().detach().numpy(), data.labels.numpy()
    expected = np.mean([average_precision_score(labels[:, c], scores[:, c]) for c in range(4)])
    assert val_map == pytest.approx(expected, abs=1e-6)

    loss = HeadLoss(small_settings().loss)
    apart = [
        (loss(output.rows(start, stop), data.labels[start:stop]).present(), stop - start)
        for start, stop in ((0, 16), (16, 32), (32, 40))
    ]
    means = {name: sum(part[name].item() * n for part, n in apart) / 40 for name in losses}
    assert losses == pytest.approx(means, rel=1e-5)


@pytest.mark.parametrize("batch_size", [16, 40, 64])
def test_the_pieces_of_the_pass_change_nothing(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, data = new_network(), small_validation(40)
    losses, val_map = run(network, data, batch_size)
    monkeypatch.setattr(validation, "CHUNK", 7)
    again, map_again = run(network, data, batch_size)
    assert again == pytest.approx(losses, rel=1e-5)
    assert map_again == pytest.approx(val_map, abs=1e-6)
