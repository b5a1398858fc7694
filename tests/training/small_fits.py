"""A problem so small that a fit takes a fraction of a second, and the settings for it."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import CheckpointingParams, Params, Section
from siglip2_multimodal_hash.training import progress
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.settings import FitSettings
from tests.parameters import PARAMS
from tests.small_heads import small_head_config

DIM, CLASSES, CAPTIONS = 8, 4, 3
CPU = torch.device("cpu")


def small_params(**sections: dict[str, Any]) -> Params:
    """The repository's params.yaml; what the tests rely on is set here, then ``sections``."""
    base: dict[str, dict[str, Any]] = {
        "hash": {"normalize": "none", "shortcut": "none"},
        "fusion": {"standardise": "column", "init": "he"},
        "classifier": {"prior": True},
        "loss": {
            "objective": "plan",
            "bce_weight": 1.0,
            "alignment": "cosine",
            "cosine_weight": 1.0,
            "temperature": 0.1,
            "learn_temperature": False,
            "hash_weight": 0.1,
            "lambda_balance": 0.1,
            "lambda_decorr": 0.01,
            "imbalance": "none",
        },
        "training": {
            "batch_size": 16,
            "accumulation_steps": 1,
            "drop_last": False,
            "num_epochs": 3,
            "max_updates": 0,
            "val_every_n_epochs": 1,
            "gradient_clip_norm": 1.0,
            "monitor": "mlp",
            "closed_form": False,
            "early_stopping_patience": 100,
            "mixed_precision": "auto",
        },
        "optimizer": {"lr": 0.01, "weight_decay": 0.01},
        "scheduler": {"type": "cosine", "warmup_epochs": 1, "min_lr": 1e-4},
        "checkpointing": {"save_top_k": 2, "save_last": True, "save_every_n_epochs": 0},
    }
    params = PARAMS
    logging = params.runtime.logging.model_copy(update={"progress": False})
    runtime: dict[str, Any] = {"device": "cpu", "logging": logging}
    changes: dict[str, Any] = {"seed": 7, "runtime": params.runtime.model_copy(update=runtime)}
    for name in base.keys() | sections.keys():
        section: Section = getattr(params, name)
        changes[name] = section.model_copy(update=base.get(name, {}) | sections.get(name, {}))
    return params.model_copy(update=changes)


def small_settings(**sections: dict[str, Any]) -> FitSettings:
    params = small_params(**sections)
    return FitSettings.from_params(params, params.monitored_vote)


def checkpointing(**changes: Any) -> CheckpointingParams:
    return small_params(checkpointing=changes).checkpointing


def small_head(**changes: Any) -> HeadConfig:
    return small_head_config(DIM, CLASSES, (24, 16), changes)


def small_arrays(n: int, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """Embeddings that are noisy sums of their classes' vectors, three captions per image."""
    generator = np.random.default_rng(seed)
    of_image, of_caption = np.random.default_rng(99).normal(size=(2, CLASSES, DIM))
    labels = (generator.random((n, CLASSES)) < 0.4).astype(np.uint8)
    image = labels @ of_image + 0.1 * generator.normal(size=(n, DIM))
    caption = np.repeat(labels @ of_caption, CAPTIONS, axis=0)
    caption += 0.1 * generator.normal(size=caption.shape)
    return {
        "image": image.astype(np.float32),
        "caption": caption.astype(np.float32),
        "caption_offsets": np.arange(n + 1, dtype=np.int64) * CAPTIONS,
        "labels": labels,
    }


def small_training(n: int = 48, seed: int = 0) -> TrainingData:
    return TrainingData.select(np.arange(n), **small_arrays(n, seed))


def small_validation(n: int = 40, seed: int = 1) -> ValidationData:
    arrays = small_arrays(n, seed)
    del arrays["caption_offsets"]
    arrays["caption"] = arrays["caption"][::CAPTIONS]
    return ValidationData.select(np.arange(n), **arrays)


class _Interrupt(logging.Handler):
    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._line = re.compile(rf"epoch {epoch}/\d+: ")

    def emit(self, record: logging.LogRecord) -> None:
        if self._line.match(record.getMessage()):
            raise KeyboardInterrupt


@contextmanager
def interrupted_in(epoch: int) -> Iterator[None]:
    """Ctrl-C in a fit, when the log tells the figures of an epoch and before it is kept."""
    log, handler = logging.getLogger(progress.__name__), _Interrupt(epoch)
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
