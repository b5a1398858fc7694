"""One epoch of updates against a plain loop, micro-batch by micro-batch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from siglip2_multimodal_hash.device import choose_precision
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.epoch import EpochTrainer
from siglip2_multimodal_hash.training.seeding import epoch_seed
from siglip2_multimodal_hash.training.settings import FitSettings
from tests.training.small_fits import CPU, small_head, small_settings, small_training

RATE = 0.5
Weights = dict[str, Tensor]
NO_REGULARISERS = {"hash_weight": 0.0, "cosine_weight": 0.0}


def new_network() -> HashNetwork:
    torch.manual_seed(3)
    return HashNetwork(small_head(adapter="linear"))


def settings_of(
    batch_size: int, steps: int, loss: dict[str, float] | None = None, **training: Any
) -> FitSettings:
    changes = {"batch_size": batch_size, "accumulation_steps": steps, "gradient_clip_norm": 1e9}
    return small_settings(training=changes | training, loss=dict(loss or {}))


def ignore(_: int) -> None:
    pass


def run_epoch(
    settings: FitSettings, n: int, after_update: Callable[[int], None] = ignore
) -> Weights:
    """Plain gradient descent instead of AdamW, whose steps hardly depend on the gradient's size."""
    network = new_network()
    trainer = EpochTrainer(
        network=network,
        loss=HeadLoss(settings.loss),
        data=small_training(n),
        optimizer=torch.optim.SGD(network.parameters(), lr=RATE),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        precision=choose_precision("off", CPU),
        settings=settings,
        epochs=settings.training.num_epochs,
        learning_rate=lambda _: RATE,
        after_update=after_update,
    )
    trainer.run(1, 0, lambda *_: None)
    return {name: v.detach().clone() for name, v in network.state_dict().items()}


def plain_epoch(settings: FitSettings, n: int) -> Weights:
    network, loss, data = new_network(), HeadLoss(settings.loss), small_training(n)
    generator = torch.Generator().manual_seed(epoch_seed(settings.seed, 1))
    order = torch.randperm(n, generator=generator)
    captions = data.draw_captions(generator)
    micro = list(torch.split(order, settings.training.batch_size))
    steps = settings.training.accumulation_steps
    for start in range(0, len(micro), steps):
        group = micro[start : start + steps]
        size = sum(map(len, group))
        network.zero_grad()
        for rows in group:
            v_img, v_txt, labels = data.batch(rows, captions[rows])
            output = network(v_img, v_txt)
            share = len(rows) / size
            torch.autograd.backward(loss(output, labels).total * share)
        with torch.no_grad():
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter.sub_(RATE * parameter.grad)
    return network.state_dict()


def assert_equal_weights(one: Weights, other: Weights) -> None:
    for name, v in one.items():
        torch.testing.assert_close(v, other[name], rtol=1e-4, atol=1e-6, msg=name)


def largest_difference(one: Weights, other: Weights) -> float:
    return max(float((v - other[name]).abs().max()) for name, v in one.items())


@pytest.mark.parametrize(
    ("n", "batch_size", "steps"),
    [
        (48, 16, 1),
        (48, 8, 3),
        (40, 16, 2),  # a leftover group of one incomplete micro-batch
        (44, 8, 4),  # a leftover group of one whole and one incomplete micro-batch
    ],
)
def test_updates_are_those_of_a_plain_loop(n: int, batch_size: int, steps: int) -> None:
    settings = settings_of(batch_size, steps)
    updates: list[int] = []
    found = run_epoch(settings, n, updates.append)
    assert_equal_weights(found, plain_epoch(settings, n))
    assert updates == list(range(1, -(-n // (batch_size * steps)) + 1))


def test_two_accumulated_batches_of_16_are_one_of_32() -> None:
    two = run_epoch(settings_of(16, 2, NO_REGULARISERS), 64)
    one = run_epoch(settings_of(32, 1, NO_REGULARISERS), 64)
    assert_equal_weights(two, one)
    # Balance and decorrelation are properties of a micro-batch: with them the two differ.
    strong = {"hash_weight": 10.0, "lambda_balance": 1.0, "lambda_decorr": 1.0}
    two, one = (run_epoch(settings_of(*cut, strong), 64) for cut in ((16, 2), (32, 1)))
    assert largest_difference(two, one) > 1e-3


def test_the_norm_of_the_gradient_is_clipped() -> None:
    """With one update, the weights move by no more than rate * gradient_clip_norm."""
    settings = settings_of(48, 1, gradient_clip_norm=1e-3)
    before = {name: v.clone() for name, v in new_network().state_dict().items()}
    after = run_epoch(settings, 48)
    moved = torch.cat([(after[name] - v).flatten() for name, v in before.items()])
    assert float(moved.norm()) == pytest.approx(RATE * 1e-3, rel=1e-2)
