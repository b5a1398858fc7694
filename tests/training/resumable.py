"""A fit with all that a state has: dropout, an adapter, top-k, patience that runs out."""

from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.training.loop import Checkpoints, FitResult, fit
from tests.training.small_fits import (
    checkpointing,
    small_head,
    small_settings,
    small_training,
    small_validation,
)

EPOCHS = 6


def resumable_fit(
    folder: Path, *, closed_form: bool = False, **sections: dict[str, Any]
) -> FitResult:
    training = {"num_epochs": EPOCHS, "accumulation_steps": 2} | sections.pop("training", {})
    if closed_form:
        training["closed_form"], sections["hash"] = True, {"shortcut": "itq"}
    return fit(
        small_head(dropout=0.3, adapter="residual", shortcut=closed_form),
        small_training(80),
        small_validation(),
        small_settings(training=training, **sections),
        Checkpoints(folder, checkpointing(save_top_k=2, save_every_n_epochs=3)),
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
