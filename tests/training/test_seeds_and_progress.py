"""Seeds, precision, and what a fit shows while it runs."""

import logging
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.device import choose_precision
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.progress import show
from siglip2_multimodal_hash.training import progress
from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.progress import fit_progress
from siglip2_multimodal_hash.training.seeding import epoch_seed, seed_everything
from tests.terminals import Terminal
from tests.training.small_fits import (
    CPU,
    small_head,
    small_settings,
    small_training,
    small_validation,
)


@pytest.mark.parametrize("seed", [0, 42, 2**40, 2**70])
def test_one_seed_for_every_source_of_randomness(seed: int) -> None:
    drawn = []
    for _ in range(2):
        seed_everything(seed)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]
    assert torch.are_deterministic_algorithms_enabled()


@given(seed=st.integers(0, 2**64), epoch=st.integers(1, 1000))
@settings(max_examples=50)
def test_an_epochs_seed_is_its_own(seed: int, epoch: int) -> None:
    found = epoch_seed(seed, epoch)
    assert 0 <= found < 2**63
    assert found == epoch_seed(seed, epoch)
    assert len({found, epoch_seed(seed, epoch + 1), epoch_seed(seed + 1, epoch)}) == 3


def test_auto_is_off_on_the_cpu_and_scaled_float16_on_cuda() -> None:
    on_cpu = choose_precision("auto", CPU)
    assert (on_cpu.dtype, on_cpu.scaled) == (None, False)
    on_cuda = choose_precision("auto", torch.device("cuda"))
    assert (on_cuda.dtype, on_cuda.scaled) == (torch.float16, True)


def test_bfloat16_needs_no_loss_scale() -> None:
    precision = choose_precision("bfloat16", CPU)
    assert (precision.dtype, precision.scaled) == (torch.bfloat16, False)
    with precision.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_precisions_that_a_device_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"mixed_precision = float16: .*\n.*auto, bfloat16"):
        choose_precision("float16", CPU)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(InputError, match=r"mixed_precision = bfloat16: this card"):
        choose_precision("bfloat16", torch.device("cuda"))


def test_figures_go_to_the_log_and_to_the_bar(caplog: pytest.LogCaptureFixture) -> None:
    terminal = Terminal()
    show(stream=terminal, interval=0.01)
    try:
        with caplog.at_level(logging.DEBUG), fit_progress(2, updates=10) as shown:
            shown.begin(1, {"best_val_mAP": 0.4})
            shown.report(5, {"total": 0.123456, "lr": 2e-4})
            terminal.wait_for("5/20", "epoch 1/2: total=0.1235 best_val_mAP=0.4]")
            shown.finish({"val_mAP": 0.5})
            terminal.wait_for("10/20", "epoch 1/2: val_mAP=0.5")
    finally:
        show(False)
    assert caplog.messages == [
        "epoch 1/2, update 5: total=0.1235 lr=0.0002",
        "epoch 1/2: val_mAP=0.5",
    ]


@pytest.mark.parametrize(("seconds", "told"), [(60.0, []), (0.0, [1, 2, 3])])
def test_short_epochs_do_not_fill_the_log(
    seconds: float,
    told: list[int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", seconds)
    with caplog.at_level(logging.INFO), fit_progress(3, updates=10) as shown:
        for epoch in (1, 2, 3):
            shown.begin(epoch)
            shown.report(5, {"total": 0.1})
            shown.finish({"val_mAP": 0.5})
    assert caplog.messages == [f"epoch {epoch}/3: val_mAP=0.5" for epoch in told]


def test_a_fit_logs_its_epochs_and_why_it_stopped(caplog: pytest.LogCaptureFixture) -> None:
    options = small_settings(training={"num_epochs": 30, "early_stopping_patience": 1})
    with caplog.at_level(logging.DEBUG, "siglip2_multimodal_hash.training"):
        result = fit(small_head(), small_training(), small_validation(48, seed=0), options)
    epochs = len(result.history)
    assert epochs < 30
    assert caplog.messages[0].startswith("epoch 1/30: lr=0.01 train_total=")
    assert caplog.messages[-1] == (
        f"stopped after epoch {epochs}: no better val mAP than {result.val_map:.4f} "
        f"(epoch {result.best_epoch}) in 1 validations"
    )
