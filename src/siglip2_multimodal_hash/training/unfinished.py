"""An unfinished fit, kept beside its output so that a killed one can be continued.

``<output>.partial/`` holds, after each epoch:

- ``progress.json``: what the fit was made with, how far it is, and the digests of the files that
  belong to it; written last, in one step, so that it always speaks of files that are whole;
- ``state-NN.safetensors``: weights, and the optimiser's moments, after epoch NN;
- a folder with the checkpoints so far, which becomes the output in the end.

DVC removes a stage's outputs before it runs the stage, so none of it can lie in there.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from siglip2_multimodal_hash.errors import DataError, explained_disk
from siglip2_multimodal_hash.files import file_sha256, read_json, remove, replacing
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import CheckpointingParams
from siglip2_multimodal_hash.partial_output import (
    become_output,
    locked,
    partial_root,
    require_same,
)
from siglip2_multimodal_hash.training.checkpoint import (
    CheckpointWriter,
    load_weights,
    save_weights,
    write_bytes,
)
from siglip2_multimodal_hash.training.state import FitState

logger = logging.getLogger(__name__)

PROGRESS = "progress.json"
_REMEDY = (
    "make room on that disk, or check the folder's rights, and run again: the fit goes on after "
    "its last whole epoch"
)


class Fitted(NamedTuple):
    """The parts of a fit that change with every update."""

    network: HashNetwork
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


class UnfinishedFit:
    """The folder on its way; made by :func:`unfinished_fit`.

    Attributes:
        epochs: Epochs that it holds.
    """

    def __init__(
        self, target: Path, params: CheckpointingParams, fingerprint: Mapping[str, Any]
    ) -> None:
        self._target = target
        self._root = partial_root(target)
        self._folder = self._root / target.name
        self._params = params
        self._fingerprint = dict(fingerprint)
        self._digests: dict[str, str] = {}
        self._writer = CheckpointWriter(self._folder, params)
        self.epochs = 0

    def restore(self, fitted: Fitted) -> FitState:
        """Bring network, optimiser and scaler to where an earlier run left them.

        Returns:
            How far that was: epoch 0 where there is no such run, or nothing to be used of it.
        """
        state = FitState()
        if (self._root / PROGRESS).exists():
            try:
                state = self._restore(fitted)
            except (DataError, KeyError, TypeError, ValueError, OSError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                logger.warning("the unfinished fit is thrown away: %s", reason)
        self.epochs = state.epoch
        self.tidy()
        return state

    def record(self, state: FitState, val_map: float | None, fitted: Fitted) -> None:
        """Keep an epoch; from then on it is not computed again.

        Args:
            state: With this epoch in it.
            val_map: None where the epoch was not validated.
            fitted: After this epoch.

        Raises:
            DataError: The disk is full or the folder cannot be written; the epochs before stay.
        """
        with explained_disk(self._root, _REMEDY):
            self._writer.after_epoch(state.epoch, fitted.network.state_dict(), val_map)
            name = f"state-{state.epoch:02d}.safetensors"
            save_weights(self._root / name, _tensors(fitted))
            files = [name, *(f"{self._folder.name}/{kept}" for kept in self._writer.files)]
            digests = {
                file: self._digests.get(file) or file_sha256(self._root / file) for file in files
            }
            progress = {
                "fingerprint": self._fingerprint,
                "state": state.to_json(),
                "checkpoints": self._writer.to_json(),
                "scaler": fitted.scaler.state_dict(),
                "files": digests,
            }
            signed = {"progress": progress, "sha256": _digest(progress)}
            with replacing(self._root / PROGRESS) as temporary:
                write_bytes(temporary, json.dumps(signed, indent=1, sort_keys=True).encode())
        self.epochs, self._digests = state.epoch, digests
        self._writer.discard()
        self.tidy()

    def complete(self, config: HeadConfig, state: FitState, network: HashNetwork) -> None:
        """Add what a complete folder has beside the checkpoints, and turn it into the output.

        Raises:
            DataError: The disk is full or the folder cannot be written; all epochs stay.
        """
        with explained_disk(self._root, _REMEDY):
            self._writer.finish(config, state.history, network.state_dict())
            become_output(self._folder, self._target)
        shutil.rmtree(self._root)

    def tidy(self) -> None:
        """Remove what the progress does not name; all where there is none."""
        if not self.epochs:
            # First, so that a kill in between leaves no progress without its files.
            (self._root / PROGRESS).unlink(missing_ok=True)
        kept = {self._root / file for file in self._digests if self.epochs}
        for path in [*self._root.iterdir(), *self._folder.iterdir()]:
            if path not in kept and path not in (self._folder, self._root / PROGRESS):
                remove(path)

    def remove_if_empty(self) -> None:
        """Leave nothing beside the output unless an epoch is whole."""
        if not self.epochs:
            shutil.rmtree(self._root, ignore_errors=True)

    def _restore(self, fitted: Fitted) -> FitState:
        path = self._root / PROGRESS
        signed = read_json(path)
        progress = signed.get("progress") if isinstance(signed, dict) else None
        if not isinstance(progress, dict) or signed.get("sha256") != _digest(progress):
            raise DataError(f"{path}: damaged, or not the progress of a fit")
        require_same(self._fingerprint, progress["fingerprint"], "it was")
        state = FitState.from_json(progress["state"])
        digests: dict[str, str] = progress["files"]
        for file, digest in digests.items():
            if file_sha256(self._root / file) != digest:
                raise DataError(f"{self._root / file}: damaged (its SHA-256 is another)")
        writer = CheckpointWriter(self._folder, self._params)
        writer.restore(progress["checkpoints"])
        if state.best.epoch:
            state.best.weights = load_weights(self._folder / writer.files[0])
        tensors = load_weights(self._root / f"state-{state.epoch:02d}.safetensors")
        _set_tensors(fitted, tensors)
        fitted.scaler.load_state_dict(progress["scaler"])
        self._digests, self._writer = digests, writer
        logger.info("continuing after epoch %d, found in %s", state.epoch, self._root)
        return state


@contextmanager
def unfinished_fit(
    target: Path, params: CheckpointingParams, fingerprint: Mapping[str, Any]
) -> Iterator[UnfinishedFit]:
    """Open the unfinished fit beside ``target``, or begin it.

    Args:
        target: The folder of the output.
        params: The ``checkpointing`` section.
        fingerprint: See :func:`.fit_fingerprint`; work of another one is thrown away.

    Raises:
        DataError: Another process is at it.
    """
    with locked(target):
        work = UnfinishedFit(target, params, fingerprint)
        try:
            yield work
        except BaseException as error:
            # What an epoch that failed has written; nothing else can be done on a full disk.
            if partial_root(target).exists() and work.epochs:
                work.tidy()
                if isinstance(error, KeyboardInterrupt):
                    logger.warning(
                        "interrupted: the first %d epochs stay in %s for the next run",
                        work.epochs,
                        partial_root(target),
                    )
            raise
        finally:
            work.remove_if_empty()


def _tensors(fitted: Fitted) -> dict[str, Tensor]:
    """Weights as ``network.NAME``, moments as ``optimizer.INDEX.NAME``."""
    tensors = {f"network.{name}": v for name, v in fitted.network.state_dict().items()}
    for index, moments in fitted.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": v for name, v in moments.items()}
    return tensors


def _set_tensors(fitted: Fitted, tensors: Mapping[str, Tensor]) -> None:
    """The way back from :func:`_tensors`; the digests say that these are its own."""
    weights: dict[str, Tensor] = {}
    moments: dict[int, dict[str, Tensor]] = {}
    for key, v in tensors.items():
        kind, _, rest = key.partition(".")
        if kind == "network":
            weights[rest] = v
        else:
            index, _, name = rest.partition(".")
            moments.setdefault(int(index), {})[name] = v.clone()
    fitted.network.load_state_dict(weights)
    groups = fitted.optimizer.state_dict()["param_groups"]
    fitted.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _digest(progress: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(progress, sort_keys=True).encode()).hexdigest()
