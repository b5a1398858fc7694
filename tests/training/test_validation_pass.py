"""The pass over val: its losses, and its mAP against scikit-learn's."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from siglip2_multimodal_hash.device import choose_precision
from siglip2_multimodal_hash.models.config import CHUNK
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork
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


@pytest.mark.parametrize("n", [40, CHUNK + 40])
def test_map_and_losses_of_a_pass(n: int) -> None:
    """In batches of 16: the losses weigh the last batch of 8 by its size."""
    network, data = new_network(), small_validation(n)
    losses, val_map = run(network, data, 16)
    assert not network.training
    output = network(data.v_img, data.v_txt)
    scores, labels = output.logits.sigmoid().detach().numpy(), data.labels.numpy()
    expected = np.mean([average_precision_score(labels[:, c], scores[:, c]) for c in range(4)])
    assert val_map == pytest.approx(expected, abs=1e-6)

    loss = HeadLoss(small_settings().loss)
    apart = [
        (loss(output.rows(start, stop), data.labels[start:stop]).present(), stop - start)
        for start, stop in ((start, min(start + 16, n)) for start in range(0, n, 16))
    ]
    means = {name: sum(part[name].item() * size for part, size in apart) / n for name in losses}
    assert losses == pytest.approx(means, rel=1e-5)
