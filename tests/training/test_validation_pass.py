"""The pass over val: its losses, and its mAP against scikit-learn's."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from siglip2_multimodal_hash.device import choose_precision
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training import data as training_data
from siglip2_multimodal_hash.training.data import ValidationData
from siglip2_multimodal_hash.training.validation import validate
from tests.training.small_fits import CPU, small_head, small_settings, small_validation


def new_network() -> HashNetwork:
    torch.manual_seed(5)
    return HashNetwork(small_head(dropout=0.5))


def run(network: HashNetwork, data: ValidationData, batch_size: int) -> tuple[Any, float]:
    options = small_settings(training={"batch_size": batch_size})
    loss = HeadLoss(options.loss)
    losses, figures = validate(
        network, loss, data, choose_precision("off", CPU), options, place="epoch 1/2"
    )
    return losses, figures["mAP"]


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
    monkeypatch.setattr(training_data, "CHUNK", 7)
    again, map_again = run(network, data, batch_size)
    assert again == pytest.approx(losses, rel=1e-5)
    assert map_again == pytest.approx(val_map, abs=1e-6)
