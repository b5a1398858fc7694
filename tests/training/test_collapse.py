"""Collapse: seen while fitting, warned of once, and absent where the alignment has negatives."""

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from siglip2_multimodal_hash.models.network import HeadOutput
from siglip2_multimodal_hash.training.collapse import (
    bit_figures,
    direction_figures,
    mean_pair_cosine,
    warn_of_collapse,
)
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.loop import FitResult, fit
from tests.training.small_fits import CAPTIONS, small_arrays, small_head, small_settings


def noisy_arrays(n: int, seed: int) -> dict[str, npt.NDArray[Any]]:
    """Pairs that share their classes and little else: no map makes image and caption equal.

    Short, so that a bias of the adapter soon outweighs what tells them apart.
    """
    arrays, generator = small_arrays(n, seed), np.random.default_rng(seed + 1000)
    for name in ("image", "caption"):
        noise = 1.5 * generator.normal(size=arrays[name].shape)
        arrays[name] = (0.1 * (arrays[name] + noise)).astype(np.float32)
    return arrays


def aligned_fit(adapter: Any = "linear", **loss: Any) -> FitResult:
    """A fit in which the alignment weighs as in the plan."""
    settings = small_settings(
        loss={"cosine_weight": 1.0} | loss,
        training={"num_epochs": 25},
        optimizer={"lr": 0.02},
    )
    rows, val = np.arange(96), noisy_arrays(48, 1)
    del val["caption_offsets"]
    val["caption"] = val["caption"][::CAPTIONS]
    return fit(
        small_head(adapter=adapter),
        TrainingData.select(rows, **noisy_arrays(96, 0)),
        ValidationData.select(rows[:48], **val),
        settings,
    )


def directions_warned_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "directions of different val items" in text]


def test_the_mean_over_pairs_is_that_of_a_loop() -> None:
    one, other = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    for a, b in ((one, one), (one, other)):
        expected = np.mean([float(a[i] @ b[j]) for i, j in pairs])
        assert mean_pair_cosine(a, b) == pytest.approx(expected, rel=1e-5)


def test_figures_by_hand() -> None:
    east, north = [1.0, 0.0], [0.0, 1.0]
    d_img, d_txt = torch.tensor([east, east, north]), torch.tensor([east, north, north])
    h = torch.tensor([[0.5, 0.5], [0.1, 0.9], [0.2, -0.1], [0.1, -0.2]]).repeat(1, 4)
    output = HeadOutput(h, h, h, d_img, d_txt, None, None)
    # Images: 1 of 3 pairs is alike. Image and caption: (0,1) 0, (0,2) 0, (1,0) 1, (1,2) 0, (2,0) 0,
    # (2,1) 1.
    assert direction_figures(output) == pytest.approx(
        {"direction_cosine": 1 / 3, "cross_cosine": 2 / 6}
    )
    # Half of the bits are constant, half are even.
    assert bit_figures(output) == {"bit_entropy": 0.5}
    alone = HeadOutput(h, h, None, None, d_txt, None, None)
    assert direction_figures(alone) == pytest.approx({"direction_cosine": 1 / 3})
    assert bit_figures(alone) == {}
    assert direction_figures(output.rows(0, 1)) == {}


def test_cosine_alone_collapses_and_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    first, *_, last = aligned_fit().history
    assert first["val_direction_cosine"] < 0.3
    assert last["val_direction_cosine"] > 0.9
    assert last["val_cross_cosine"] > 0.9
    (said,) = directions_warned_of(caplog)
    assert "loss.cosine_weight (now 1) to 0" in said
    assert "loss.alignment (now cosine" in said


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("alignment", ["sigmoid", "infonce"])
def test_with_negatives_nothing_collapses(
    alignment: str, learned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    result = aligned_fit(alignment=alignment, learn_temperature=learned)
    assert result.history[-1]["val_direction_cosine"] < 0.75
    assert result.history[-1]["train_alignment"] < result.history[0]["train_alignment"]
    assert ("temperature" in result.history[-1]) == learned
    assert not directions_warned_of(caplog)


def test_directions_are_compared_with_those_behind_the_fixed_projection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Towers with a large common component, which the principal components leave out.
    def arrays(n: int, seed: int) -> dict[str, npt.NDArray[Any]]:
        found = noisy_arrays(n, seed)
        for name in ("image", "caption"):
            found[name] += np.eye(found[name].shape[1], dtype=np.float32)[0] * 20
        return found

    val = arrays(48, 1)
    del val["caption_offsets"]
    val["caption"] = val["caption"][::CAPTIONS]
    rows = np.arange(96)
    fit(
        small_head(adapter="linear", project_dim=4, projection="pca"),
        TrainingData.select(rows, **arrays(96, 0)),
        ValidationData.select(rows[:48], **val),
        small_settings(training={"num_epochs": 25}, optimizer={"lr": 0.02}),
    )
    assert len(directions_warned_of(caplog)) == 1


def test_frozen_directions_are_not_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    history = aligned_fit(adapter="none").history
    assert "val_direction_cosine" not in history[-1]
    assert not directions_warned_of(caplog)


def test_a_common_component_of_the_towers_is_no_collapse(caplog: pytest.LogCaptureFixture) -> None:
    loss, head = small_settings().loss, small_head(adapter="linear")
    alike = [{"epoch": 1, "val_direction_cosine": 0.95}]
    warn_of_collapse("epoch 1/9", alike, {"direction_cosine": 0.94}, loss, head)
    assert not caplog.messages
    warn_of_collapse("epoch 1/9", alike, {"direction_cosine": 0.5}, loss, head)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("normalize", "remedy"),
    [("none", "hash.normalize to batchnorm"), ("batchnorm", "loss.objective (now plan)")],
)
def test_constant_bits_are_warned_of_once(
    normalize: str, remedy: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    loss, head = small_settings().loss, small_head(normalize=normalize)
    history: list[dict[str, int | float]] = []
    for epoch, entropy in enumerate((0.9, 0.1, 0.05), start=1):
        history.append({"epoch": epoch, "val_bit_entropy": entropy})
        warn_of_collapse(f"epoch {epoch}/3", history, {}, loss, head)
    (said,) = caplog.messages
    assert said.startswith("epoch 2/3: the bits have become constants")
    assert remedy in said


def test_a_head_knows_whether_its_directions_can_move() -> None:
    moving: list[dict[str, Any]] = [
        {"adapter": "linear"},
        {"adapter": "residual"},
        {"project_dim": 4},
    ]
    assert all(small_head(**one).trains_directions for one in moving)
    frozen = [
        {},
        {"project_dim": 4, "projection": "pca"},
        {"fusion": "raw", "adapter": "linear", "bits": 0},
    ]
    assert not any(small_head(**one).trains_directions for one in frozen)
