"""The folder that a fit leaves behind, and the way back from it to a network.

- ``best.safetensors``: weights of the epoch with the best val mAP.
- ``last.safetensors``: weights after the last epoch (``checkpointing.save_last``).
- ``epoch=03-val_mAP=0.5432.safetensors``: the ``save_top_k`` best epochs, counted from 1.
- ``epoch=05.safetensors``: every ``save_every_n_epochs``-th epoch.
- ``config.json``: the head's config, the best epoch and its val mAP.
- ``history.json``: one record an epoch.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from siglip2_multimodal_hash.errors import DataError, ParamsError
from siglip2_multimodal_hash.files import read_json, write_json
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import CheckpointingParams

BEST = "best.safetensors"
LAST = "last.safetensors"
CONFIG = "config.json"
HISTORY = "history.json"

EpochRecord = dict[str, int | float]


class _Kept(NamedTuple):
    val_map: float
    epoch: int
    path: Path


class CheckpointWriter:
    """Write the folder's files as the epochs pass.

    Args:
        folder: Created; the caller makes it appear whole or not at all.
        params: The ``checkpointing`` section.
    """

    def __init__(self, folder: Path, params: CheckpointingParams) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._params = params
        self._top: list[_Kept] = []
        self._regular: list[str] = []
        self._dropped: list[Path] = []

    def after_epoch(self, epoch: int, weights: Mapping[str, Tensor], val_map: float | None) -> None:
        """Keep the weights if they are due or among the best.

        What they push out of the best stays until :meth:`discard`.

        Args:
            epoch: Counted from 1.
            weights: The network's state.
            val_map: None where this epoch was not validated.
        """
        interval = self._params.save_every_n_epochs
        if interval and epoch % interval == 0:
            self._regular.append(f"epoch={epoch:02d}.safetensors")
            save_weights(self._folder / self._regular[-1], weights)
        if val_map is None:
            return
        path = self._folder / f"epoch={epoch:02d}-val_mAP={val_map:.4f}.safetensors"
        # The earlier epoch is the better one of two equals.
        ranked = sorted([*self._top, _Kept(val_map, epoch, path)], key=lambda k: (-k[0], k[1]))
        self._top, dropped = ranked[: self._params.save_top_k], ranked[self._params.save_top_k :]
        if any(kept.epoch == epoch for kept in self._top):
            save_weights(path, weights)
        self._dropped += [kept.path for kept in dropped]

    def discard(self) -> None:
        """Remove the files of epochs that are no longer among the best."""
        for path in self._dropped:
            path.unlink(missing_ok=True)
        self._dropped = []

    @property
    def files(self) -> list[str]:
        """Names of the files that are kept so far, those of the best epochs first."""
        return [*(kept.path.name for kept in self._top), *self._regular]

    def to_json(self) -> dict[str, Any]:
        """What :meth:`restore` takes."""
        top = [{"epoch": k.epoch, "val_mAP": k.val_map, "file": k.path.name} for k in self._top]
        return {"top": top, "regular": self._regular}

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Go on from the files of an earlier writer, which lie in the folder.

        Raises:
            KeyError, TypeError: It is not what :meth:`to_json` gave.
        """
        self._top = [
            _Kept(kept["val_mAP"], kept["epoch"], self._folder / kept["file"])
            for kept in stored["top"]
        ]
        self._regular = list(stored["regular"])

    def finish(
        self, config: HeadConfig, history: list[EpochRecord], last_weights: Mapping[str, Tensor]
    ) -> None:
        """Complete the folder; at least one epoch must have been validated."""
        self.discard()
        best = self._top[0]
        write_bytes(self._folder / BEST, best.path.read_bytes())
        if self._params.save_last:
            save_weights(self._folder / LAST, last_weights)
        summary = {"head": config.to_json(), "best_epoch": best.epoch, "val_mAP": best.val_map}
        write_json(self._folder / CONFIG, summary)
        write_json(self._folder / HISTORY, history)


def load_head(folder: Path, weights: str = BEST) -> tuple[HashNetwork, HeadConfig]:
    """Rebuild a network, on the CPU and in eval mode.

    Args:
        folder: What a fit wrote.
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
    write_bytes(path, save({name: v.detach().cpu().contiguous() for name, v in weights.items()}))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file and bring it to the disk: what names it may be renamed next."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


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
                f"{CONFIG} says {v.dtype} {list(v.shape)}",
                _REMEDY,
            )
        if not found.isfinite().all():
            raise DataError(f"{path}: {name} holds NaN or infinity", _REMEDY)


_REMEDY = "the checkpoint is incomplete or damaged: run `dvc repro`"
