"""Checkpoints: the folder that a fit leaves, the way back to a network, and unfinished fits.

- ``best.safetensors``: weights of the best epoch by ``training.monitor``.
- ``last.safetensors``: weights after the last epoch (``checkpointing.save_last``).
- ``epoch=03-val_mAP=0.5432.safetensors``: the ``save_top_k`` best epochs, counted from 1, 0 for
  the closed form; the figure is the one that is monitored.
- ``epoch=05.safetensors``: every ``save_every_n_epochs``-th epoch.
- ``config.json``: the head's config, the best epoch and its monitored figure.
- ``history.json``: one record per epoch.

Until the fit is complete, the folder lies beside its place, together with
``state-NN.safetensors``, the weights and the optimiser's moments after epoch NN; see
:mod:`..resume`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from siglip2_multimodal_hash.errors import DataError, ParamsError, explained_disk
from siglip2_multimodal_hash.files import read_json, write_json
from siglip2_multimodal_hash.models.alignment import AlignmentScale
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import CheckpointingParams
from siglip2_multimodal_hash.resume import DISK_REMEDY, Unfinished, unfinished, write_durably

BEST = "best.safetensors"
LAST = "last.safetensors"
CONFIG = "config.json"
HISTORY = "history.json"

EpochRecord = dict[str, int | float]


class _Kept(NamedTuple):
    score: float
    epoch: int
    path: Path


class CheckpointWriter:
    """Write the folder's files as the epochs pass.

    Args:
        folder: Created; the caller makes it appear whole or not at all.
        params: The ``checkpointing`` section.
        monitored: Name of the score of an epoch; see :mod:`.monitor`.
    """

    def __init__(
        self, folder: Path, params: CheckpointingParams, monitored: str = "val_mAP"
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._params = params
        self._monitored = monitored
        self._top: list[_Kept] = []
        self._regular: list[str] = []

    def after_epoch(self, epoch: int, weights: Mapping[str, Tensor], score: float | None) -> None:
        """Keep the weights if they are due or among the best.

        What they push out of the best stays until :meth:`finish`: the progress may name it still.

        Args:
            epoch: Counted from 1; 0 for the closed form.
            weights: The network's state.
            score: None where this epoch was not validated.
        """
        interval = self._params.save_every_n_epochs
        if interval and epoch and epoch % interval == 0:
            self._regular.append(f"epoch={epoch:02d}.safetensors")
            save_weights(self._folder / self._regular[-1], weights)
        if score is None:
            return
        path = self._folder / f"epoch={epoch:02d}-{self._monitored}={score:.4f}.safetensors"
        # The earlier epoch is the better one of two equals.
        ranked = sorted([*self._top, _Kept(score, epoch, path)], key=lambda k: (-k[0], k[1]))
        self._top = ranked[: self._params.save_top_k]
        if any(kept.epoch == epoch for kept in self._top):
            save_weights(path, weights)

    @property
    def files(self) -> list[str]:
        """Names of the files that are kept so far, those of the best epochs first."""
        return [*(kept.path.name for kept in self._top), *self._regular]

    def to_json(self) -> dict[str, Any]:
        """State as JSON, for :meth:`restore`."""
        top = [{"epoch": k.epoch, "score": k.score, "file": k.path.name} for k in self._top]
        return {"top": top, "regular": self._regular}

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Go on from the files of an earlier writer, which lie in the folder."""
        self._top = [
            _Kept(kept["score"], kept["epoch"], self._folder / kept["file"])
            for kept in stored["top"]
        ]
        self._regular = list(stored["regular"])

    def finish(
        self, config: HeadConfig, history: list[EpochRecord], last_weights: Mapping[str, Tensor]
    ) -> None:
        """Complete the folder; at least one epoch must have been validated."""
        for path in self._folder.glob("epoch=*"):
            if path.name not in self.files:
                path.unlink()
        best = self._top[0]
        write_durably(self._folder / BEST, best.path.read_bytes())
        if self._params.save_last:
            save_weights(self._folder / LAST, last_weights)
        summary = {
            "head": config.to_json(),
            "best_epoch": best.epoch,
            self._monitored: best.score,
        }
        write_json(self._folder / CONFIG, summary)
        write_json(self._folder / HISTORY, history)


def load_head(folder: Path, weights: str = BEST) -> tuple[HashNetwork, HeadConfig]:
    """Rebuild a network, on the CPU and in eval mode.

    Args:
        folder: Output of a fit.
        weights: Name of one of its ``.safetensors`` files.

    Raises:
        DataError: A file is missing or damaged, or weights and config do not belong together.
    """
    summary = read_json(folder / CONFIG)
    head: Any = summary.get("head") if isinstance(summary, dict) else None
    try:
        config = HeadConfig.from_json(head)
    except ParamsError as error:
        raise DataError(f"{folder / CONFIG}: {error}", _REMEDY) from None
    network = HashNetwork(config).eval()
    path = folder / weights
    state = load_weights(path)
    _check_weights(path, state, network.state_dict())
    network.load_state_dict(state)
    return network, config


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write tensors, from whatever device, and bring them to the disk."""
    # `save_file` would leave the file readable by its owner alone.
    write_durably(path, save({name: v.detach().cpu().contiguous() for name, v in weights.items()}))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read what :func:`save_weights` wrote, onto the CPU.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        state: dict[str, Tensor] = load_file(path, device="cpu")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", _REMEDY) from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a readable safetensors file ({error})", _REMEDY) from None
    return state


def _check_weights(path: Path, state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    if wrong := sorted(state.keys() ^ expected.keys()):
        raise DataError(
            f"{path}: does not belong to {CONFIG}: missing or unknown weights {', '.join(wrong)}",
            _REMEDY,
        )
    for name, v in expected.items():
        found = state[name]
        if found.shape != v.shape or found.dtype != v.dtype:
            raise DataError(
                f"{path}: {name} is {found.dtype} {list(found.shape)}, "
                f"but in {CONFIG} {v.dtype} {list(v.shape)}",
                _REMEDY,
            )
        if not found.isfinite().all():
            raise DataError(f"{path}: {name} holds NaN or infinity", _REMEDY)


_REMEDY = "the checkpoint is incomplete or damaged: run `dvc repro`"


@dataclass
class BestEpoch:
    """The best weights so far, and for how many validations they have been that."""

    epoch: int = 0
    score: float = -1.0
    weights: dict[str, Tensor] = field(default_factory=dict)
    validations_since: int = 0

    def offer(self, epoch: int, score: float, network: HashNetwork) -> None:
        """Take the network's weights over if they are better."""
        self.validations_since += 1
        if score > self.score:
            self.epoch, self.score, self.validations_since = epoch, score, 0
            self.weights = {name: v.detach().clone() for name, v in network.state_dict().items()}


@dataclass
class FitState:
    """Epochs done, one record of each, and the best of them.

    No state of a random generator is in here: an epoch draws its order, captions and dropout from
    (seed, epoch) alone, see :func:`.seeding.epoch_seed`. So does the learning rate of an update
    follow from its number.
    """

    epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    best: BestEpoch = field(default_factory=BestEpoch)

    def to_json(self) -> dict[str, Any]:
        """All but the weights."""
        best = self.best
        return {
            "epoch": self.epoch,
            "history": self.history,
            "best_epoch": best.epoch,
            "best_score": best.score,
            "validations_since": best.validations_since,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """The way back from :meth:`to_json`, without the weights."""
        best = BestEpoch(
            epoch=stored["best_epoch"],
            score=stored["best_score"],
            validations_since=stored["validations_since"],
        )
        return cls(stored["epoch"], stored["history"], best)


class Fitted(NamedTuple):
    """The parts of a fit that change with every update."""

    network: HashNetwork
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    scale: AlignmentScale | None = None  # of the loss; no part of the head's checkpoints


class UnfinishedFit:
    """A fit on its way, recorded after each epoch; made by :func:`unfinished_fit`."""

    def __init__(self, work: Unfinished, params: CheckpointingParams, monitored: str) -> None:
        self._work = work
        self._new_writer = partial(CheckpointWriter, work.folder, params, monitored)
        self._writer = self._new_writer()

    def restore(self, fitted: Fitted) -> FitState:
        """Bring network, optimiser and scaler to where an earlier run left them.

        Returns:
            Its progress: epoch 0 where there is no such run, or nothing to be used of it.
        """

        def take_up(progress: dict[str, Any]) -> FitState:
            state = FitState.from_json(progress["state"])
            writer = self._new_writer()
            writer.restore(progress["checkpoints"])
            if progress["checkpoints"]["top"]:
                state.best.weights = load_weights(self._work.folder / writer.files[0])
            _set_tensors(fitted, load_weights(self._work.root / _state_name(state.epoch)))
            fitted.scaler.load_state_dict(progress["scaler"])
            self._writer = writer
            return state

        return self._work.restore(take_up) or FitState()

    def keep_best(self, state: FitState) -> None:
        """Keep the best weights before the first epoch; they are computed again until it is done.

        Raises:
            DataError: See :meth:`record`.
        """
        with explained_disk(self._work.root, DISK_REMEDY):
            self._writer.after_epoch(0, state.best.weights, state.best.score)

    def record(self, state: FitState, score: float | None, fitted: Fitted) -> None:
        """Keep an epoch; from then on it is not computed again.

        Args:
            state: With this epoch in it.
            score: None where the epoch was not validated.
            fitted: After this epoch.

        Raises:
            DataError: The disk is full or the folder cannot be written; the epochs before stay.
        """
        name = _state_name(state.epoch)
        with explained_disk(self._work.root, DISK_REMEDY):
            self._writer.after_epoch(state.epoch, fitted.network.state_dict(), score)
            save_weights(self._work.root / name, _tensors(fitted))
        self._work.record(
            f"{state.epoch} epoch{'s' if state.epoch > 1 else ''}",
            {
                "state": state.to_json(),
                "checkpoints": self._writer.to_json(),
                "scaler": fitted.scaler.state_dict(),
            },
            whole=[name, *(f"{self._work.folder.name}/{kept}" for kept in self._writer.files)],
        )

    def complete(self, config: HeadConfig, state: FitState, network: HashNetwork) -> None:
        """Add what a complete folder has beside the checkpoints, and turn it into the output.

        Raises:
            DataError: The disk is full or the folder cannot be written; all epochs stay.
        """
        with explained_disk(self._work.root, DISK_REMEDY):
            self._writer.finish(config, state.history, network.state_dict())
        self._work.complete()


@contextmanager
def unfinished_fit(
    target: Path,
    params: CheckpointingParams,
    fingerprint: Mapping[str, Any],
    monitored: str = "val_mAP",
) -> Iterator[UnfinishedFit]:
    """Open the unfinished fit beside ``target``, or begin it.

    Args:
        target: The folder of the output.
        params: The ``checkpointing`` section.
        fingerprint: Everything that decides the bytes of the fit; work of another is discarded.
        monitored: Name of the score of an epoch.

    Raises:
        DataError: Another process is at it.
    """
    with unfinished(target, fingerprint) as work:
        yield UnfinishedFit(work, params, monitored)


def _state_name(epoch: int) -> str:
    return f"state-{epoch:02d}.safetensors"


def _tensors(fitted: Fitted) -> dict[str, Tensor]:
    """Weights as ``network.NAME`` and ``scale.NAME``, moments as ``optimizer.INDEX.NAME``."""
    tensors = {f"network.{name}": v for name, v in fitted.network.state_dict().items()}
    if fitted.scale is not None:
        tensors |= {f"scale.{name}": v for name, v in fitted.scale.state_dict().items()}
    for index, moments in fitted.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": v for name, v in moments.items()}
    return tensors


def _set_tensors(fitted: Fitted, tensors: Mapping[str, Tensor]) -> None:
    """The way back from :func:`_tensors`."""
    weights: dict[str, dict[str, Tensor]] = {"network": {}, "scale": {}}
    moments: dict[int, dict[str, Tensor]] = {}
    for key, v in tensors.items():
        kind, _, rest = key.partition(".")
        if kind in weights:
            weights[kind][rest] = v
        else:
            index, _, name = rest.partition(".")
            moments.setdefault(int(index), {})[name] = v.clone()
    fitted.network.load_state_dict(weights["network"])
    if fitted.scale is not None:
        fitted.scale.load_state_dict(weights["scale"])
    groups = fitted.optimizer.state_dict()["param_groups"]
    fitted.optimizer.load_state_dict({"state": moments, "param_groups": groups})
