"""A whole fit: it learns, repeats itself to the byte, stops early, and fails tidily."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.memory.limits import EMERGENCY_PRESET
from siglip2_multimodal_hash.training import loop
from siglip2_multimodal_hash.training.checkpoint import load_head
from siglip2_multimodal_hash.training.data import ValidationData
from siglip2_multimodal_hash.training.loop import Checkpoints, FitResult, fit
from tests.training.small_fits import (
    CPU,
    checkpointing,
    interrupted_in,
    small_head,
    small_settings,
    small_training,
    small_validation,
)


def small_fit(folder: Path | None = None, **sections: dict[str, Any]) -> FitResult:
    checkpoints = None
    if folder is not None:
        checkpoints = Checkpoints(folder, checkpointing(save_every_n_epochs=1))
    return fit(
        small_head(dropout=0.1),
        small_training(),
        small_validation(),
        small_settings(**sections),
        checkpoints,
    )


def scripted_validation(monkeypatch: pytest.MonkeyPatch, val_maps: Iterable[float]) -> None:
    left = iter(val_maps)
    monkeypatch.setattr(loop, "validate", lambda *_, **__: ({"total": 1.0}, {"mAP": next(left)}))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("bits", "adapter", "imbalance"),
    [
        (16, "none", "none"),
        (0, "none", "none"),
        (16, "residual", "focal"),
        (16, "linear", "class_weights"),
        (16, "none", "asymmetric"),
    ],
)
def test_a_separable_problem_is_overfitted(bits: Any, adapter: Any, imbalance: str) -> None:
    settings = small_settings(training={"num_epochs": 40}, loss={"imbalance": imbalance})
    same_images = small_validation(48, seed=0)
    result = fit(small_head(bits=bits, adapter=adapter), small_training(), same_images, settings)
    assert result.val_map > 0.99
    assert result.history[-1]["train_bce"] < 0.3 * result.history[0]["train_bce"]


def test_two_fits_are_byte_identical(tmp_path: Path) -> None:
    for name in ("one", "two"):
        torch.manual_seed(len(name) * 17)  # what came before must not matter
        torch.rand(3)
        small_fit(tmp_path / name)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert len(one) == 9
    assert one == two


def test_another_seed_gives_another_fit(tmp_path: Path) -> None:
    one = small_fit().history
    settings = small_settings()
    other = fit(
        small_head(dropout=0.1),
        small_training(),
        small_validation(),
        type(settings)(**(vars(settings) | {"seed": 8})),
    )
    assert one != other.history


def test_no_parameter_of_runtime_changes_what_comes_out() -> None:
    settings = small_settings()
    runtime = settings.runtime
    other = runtime.model_copy(
        update={
            "logging": runtime.logging.model_copy(
                update={"log_every_n_steps": 1, "progress": True}
            ),
            "dataloader": runtime.dataloader.model_copy(update={"inference_batch_size": 7}),
        }
    )
    changed = type(settings)(**(vars(settings) | {"runtime": other}))
    one, two = (
        fit(small_head(dropout=0.1), small_training(), small_validation(), chosen)
        for chosen in (settings, changed)
    )
    assert one.history == two.history
    weights = two.network.state_dict()
    assert all(torch.equal(v, weights[name]) for name, v in one.network.state_dict().items())


def test_the_history_names_every_part() -> None:
    first = small_fit().history[0]
    parts = ("total", "bce", "alignment", "quantisation", "balance", "decorrelation")
    expected = {f"{split}_{part}" for split in ("train", "val") for part in parts}
    assert set(first) == {"epoch", "lr", "val_mAP", "val_bit_entropy"} | expected
    assert first["epoch"] == 1


def test_early_stopping_after_patience_validations_without_a_better_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Equal is not better: the second 0.6 counts against the fit.
    scripted_validation(monkeypatch, [0.5, 0.6, 0.6, 0.55, 0.9])
    result = small_fit(tmp_path / "out", training={"num_epochs": 5, "early_stopping_patience": 2})
    assert [record["epoch"] for record in result.history] == [1, 2, 3, 4]
    assert (result.best_epoch, result.val_map) == (2, 0.6)
    assert not result.network.training
    second, _ = load_head(tmp_path / "out", "epoch=02.safetensors")
    for name, v in second.state_dict().items():
        assert torch.equal(v, result.network.state_dict()[name])


def test_a_better_validation_resets_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted_validation(monkeypatch, [0.5, 0.4, 0.6, 0.5, 0.7, 0.1])
    result = small_fit(training={"num_epochs": 6, "early_stopping_patience": 2})
    assert len(result.history) == 6
    assert result.best_epoch == 5


def test_validation_every_other_epoch_and_after_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted_validation(monkeypatch, [0.5, 0.4, 0.3])
    result = small_fit(
        training={"num_epochs": 5, "val_every_n_epochs": 2, "early_stopping_patience": 3}
    )
    validated = [record["epoch"] for record in result.history if "val_mAP" in record]
    assert validated == [2, 4, 5]
    assert result.best_epoch == 2


def test_a_diverged_fit_names_its_epoch_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^epoch 1\b.*NaN or infinite.*\n.*optimizer\.lr"
    ) as raised:
        small_fit(tmp_path / "out", optimizer={"lr": 1e38}, scheduler={"warmup_epochs": 0})
    assert "1e+38" in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_divergence_seen_in_validation_alone_names_its_epoch_too() -> None:
    # One update per epoch: its loss is from before the step that ruins the weights.
    with pytest.raises(InputError, match=r"^epoch 1/3: the loss is NaN or infinite"):
        small_fit(
            training={"batch_size": 48},
            optimizer={"lr": 1e38},
            scheduler={"warmup_epochs": 0},
        )


def raising(error: BaseException) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
    ],
)
def test_out_of_memory_names_the_batch_size(
    error: RuntimeError, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.nn.Linear, "forward", raising(error))
    with pytest.raises(
        InputError,
        match=rf"training\.batch_size = 16.*allocate.*\n.*use {EMERGENCY_PRESET}.*fusion\.mlp_dims",
    ):
        small_fit(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_fit_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "head"
    with interrupted_in(1):
        small_fit(folder)
    assert list(folder.parent.iterdir()) == []


def test_an_old_head_is_refused_before_the_fit(tmp_path: Path) -> None:
    folder = tmp_path / "head"
    small_fit(folder)
    found = contents(folder)
    with pytest.raises(InputError, match="head: a folder is there"):
        small_fit(folder, optimizer={"lr": 1e30})  # would diverge
    assert contents(folder) == found


def test_data_of_other_widths_than_the_head_are_refused() -> None:
    val = small_validation()
    with pytest.raises(DataError, match=r"training split: .*\(8, 8, 4\).*\(9, 8, 4\)"):
        fit(
            small_head(image_dim=9, fusion="concat"),
            small_training(),
            small_validation(),
            small_settings(),
        )
    val = small_validation()
    narrow = ValidationData(val.v_img, val.v_txt, val.labels[:, :3])
    with pytest.raises(DataError, match=r"validation split: .*\(8, 8, 3\).*\(8, 8, 4\)"):
        fit(small_head(), small_training(), narrow, small_settings())


def test_a_batch_larger_than_the_training_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"training\.batch_size = 64: .*only 48"):
        small_fit(tmp_path / "out", training={"batch_size": 64, "drop_last": True})
    assert list(tmp_path.iterdir()) == []


def test_the_fit_starts_from_standardised_inputs_and_the_prior() -> None:
    rates = {"optimizer": {"lr": 1e-30}, "scheduler": {"warmup_epochs": 0, "min_lr": 0.0}}
    settings = small_settings(training={"num_epochs": 1}, **rates)
    train = small_training()
    head = fit(small_head(), train, small_validation(), settings).network
    x = head.fusion.standardise(head.fusion_input(*next(train.first_pairs())))
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(x.shape[1]), atol=1e-4, rtol=0)
    positives = train.labels.sum(dim=0)
    prior = ((positives + 0.5) / (len(train) - positives + 0.5)).log()
    torch.testing.assert_close(head.classifier.bias.detach(), prior)


def test_mixed_precision_on_the_cpu() -> None:
    result = small_fit(training={"mixed_precision": "bfloat16"})
    assert result.history[-1]["train_bce"] < result.history[0]["train_bce"]
    assert all(v.dtype == torch.float32 for v in result.network.state_dict().values())
    with pytest.raises(InputError, match=r"training\.mixed_precision = float16.*CUDA.*cpu"):
        small_fit(training={"mixed_precision": "float16"})


def test_the_data_may_be_left_where_it_is() -> None:
    train = small_training()
    again = train.to(CPU)
    assert again.v_img is train.v_img
    assert len(again) == len(train) == 48


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, False),
        ({"classifier_bias": False}, True),
        # No bits, no collapse.
        ({"classifier_bias": False, "bits": 0}, False),
    ],
)
def test_bits_without_a_bias_are_warned_of(
    caplog: pytest.LogCaptureFixture, changes: dict[str, Any], warned: bool
) -> None:
    settings = small_settings(training={"num_epochs": 2})
    fit(small_head(**changes), small_training(), small_validation(), settings)
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert any("classifier.use_bias = false" in text for text in warnings) == warned
