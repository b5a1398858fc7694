"""NaN in a batch and overflow: what happened is said, and the fit goes on or stops."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from siglip2_multimodal_hash.device import Precision
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.models.losses import HeadLoss, LossParts
from siglip2_multimodal_hash.training import loop
from siglip2_multimodal_hash.training.loop import FitResult, fit
from siglip2_multimodal_hash.training.norms import parameter_norms
from siglip2_multimodal_hash.training.trace import LossTrace
from tests.training.small_fits import (
    CPU,
    small_head,
    small_settings,
    small_training,
    small_validation,
)

UPDATES = 3  # an epoch: 48 images, 16 per batch


def small_fit(every: int = 1, *, log_gradients: bool = False, **training: Any) -> FitResult:
    settings = small_settings(training=training)
    logs = settings.runtime.logging.model_copy(
        update={"log_every_n_steps": every, "log_gradients": log_gradients}
    )
    runtime = settings.runtime.model_copy(update={"logging": logs})
    changed = type(settings)(**(vars(settings) | {"runtime": runtime}))
    return fit(small_head(), small_training(), small_validation(), changed)


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float16 with a loss scale, on the CPU, which computes it slowly but the same way."""
    monkeypatch.setattr(loop, "choose_precision", lambda *_: Precision(CPU, torch.float16))


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Multiply one term of the loss in some training steps, counted from 1 over the fit."""

    def arm(steps: set[int], term: str, factor: float) -> None:
        calls: list[int] = []
        original = HeadLoss.__call__

        def spoilt(self: HeadLoss, *arguments: Any) -> LossParts:
            parts = original(self, *arguments)
            if not torch.is_grad_enabled():
                return parts
            calls.append(1)
            if len(calls) not in steps:
                return parts
            bad: Tensor = getattr(parts, term) * factor
            return parts._replace(**{term: bad}, total=parts.total + bad)

        monkeypatch.setattr(HeadLoss, "__call__", spoilt)

    return arm


@pytest.mark.parametrize("every", [1, 50])
def test_nan_in_one_batch_stops_a_fit_without_a_loss_scale(
    every: int, spoil: Callable[..., None]
) -> None:
    spoil({UPDATES + 2}, "alignment", float("nan"))
    with pytest.raises(
        InputError,
        match=r"^epoch 2, update 2: the loss is NaN or infinite \(alignment\): .*diverged",
    ):
        small_fit(every)


def test_a_gradient_alone_that_overflows_is_named(spoil: Callable[..., None]) -> None:
    # The loss is 1e38 times a number near 1; its gradient has a norm beyond float32.
    spoil({2}, "bce", 3e38)
    with pytest.raises(InputError, match=r"^epoch 1, update 2: the (gradient|loss) is NaN or inf"):
        small_fit()


@pytest.mark.usefixtures("scaled")
def test_a_loss_scale_skips_the_batch_and_says_so(
    spoil: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil({UPDATES + 2}, "quantisation", float("nan"))
    with caplog.at_level(logging.INFO):
        result = small_fit()
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warnings == [
        "epoch 2, update 2: the loss is NaN or infinite (quantisation); "
        "the update is skipped, the loss scale is now 32768"
    ]
    assert len(result.history) == 3
    assert all(v.isfinite().all() for v in result.network.state_dict().values())


@pytest.mark.usefixtures("scaled")
def test_an_overflow_of_float16_is_skipped_and_said(
    spoil: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil({2}, "bce", 1e4)  # times the loss scale of 65,536: beyond float16
    with caplog.at_level(logging.INFO):
        result = small_fit(every=50)
    assert (
        "epoch 1, update 2: the gradient is NaN or infinite; the update is skipped, "
        "the loss scale is now 32768"
    ) in caplog.messages
    assert result.history[0]["train_bce"] > 0


@pytest.mark.usefixtures("scaled")
def test_a_fit_that_is_always_skipped_stops(
    spoil: Callable[..., None],
) -> None:
    spoil(set(range(2, 100)), "bce", float("inf"))
    said = r"^epoch 1, update 2: .*\(bce\), and so on in 20 updates in a row: the fit"
    with pytest.raises(InputError, match=said):
        small_fit(batch_size=2)


@pytest.mark.usefixtures("scaled")
def test_an_epoch_of_which_nothing_is_left_stops(spoil: Callable[..., None]) -> None:
    spoil({1, 2, 3}, "bce", float("inf"))
    with pytest.raises(InputError, match=r"^epoch 1, update 1: .*in 3 updates in a row"):
        small_fit(every=1)


def test_the_total_is_blamed_only_where_no_term_is() -> None:
    losses = LossTrace()
    losses.add({"total": torch.tensor(float("inf")), "bce": torch.tensor(1.0)}, 4, "here")
    with pytest.raises(InputError, match=r"^here: the loss is NaN or infinite \(total\)"):
        losses.require_finite(small_settings())


def test_means_are_of_the_finite_steps() -> None:
    losses = LossTrace()
    for value, samples in ((1.0, 1), (float("nan"), 5), (4.0, 2)):
        losses.add({"total": torch.tensor(value)}, samples, "")
    assert losses.means() == {"total": 3.0}
    assert losses.means(start=2) == {"total": 4.0}


def test_norms_by_hand() -> None:
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0]]))
        layer.bias.fill_(-2.0)
    layer.weight.grad = torch.tensor([[0.0, 6.0]])
    assert parameter_norms(layer) == {
        "gradient/weight": 6.0,
        "gradient/bias": 0.0,
        "weight/weight": 5.0,
        "weight/bias": 2.0,
    }


def test_norms_are_logged_on_request(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        small_fit(every=2)
        assert "gradient/" not in caplog.text
        small_fit(every=2, log_gradients=True)
    (line, *_) = [text for text in caplog.messages if "gradient/" in text]
    assert line.startswith("epoch 1/3, update 2: total=")
    assert "gradient/classifier.weight=" in line
    assert "weight/fusion." in line
