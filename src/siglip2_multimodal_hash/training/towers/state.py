"""The resumable state of a training: weights, optimizer and progress, without pickle."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import holds_only, read_json, replacing, write_json

OURS = holds_only(r"progress\.json|state\.safetensors")
Optimizers = tuple[torch.optim.Optimizer, ...]

CurveRow = tuple[float, int, float, float]
"""Minutes, samples, mean loss since the row before, zero-shot macro mAP."""


@dataclass(frozen=True)
class Progress:
    """How far a training has come."""

    steps: int = 0
    samples: int = 0
    minutes: float = 0.0
    validated: float = 0.0
    """Minutes at the last validation."""
    saved: float = 0.0
    """Minutes at the last saved state."""
    curve: tuple[CurveRow, ...] = ()

    def after_step(self, batch: int, minutes: float) -> "Progress":
        """One more step on a batch of that size."""
        return replace(self, steps=self.steps + 1, samples=self.samples + batch, minutes=minutes)

    def noting(self, row: CurveRow) -> "Progress":
        """One more point of the curve."""
        return replace(self, validated=self.minutes, curve=(*self.curve, row))

    def just_saved(self) -> "Progress":
        """The same, saved now."""
        return replace(self, saved=self.minutes)


def save_state(folder: Path, model: nn.Module, optimizers: Optimizers, progress: Progress) -> None:
    """Write the state as a folder, whole or not at all, in the place of an older state.

    Raises:
        InputError: The folder holds something else.
    """
    tensors = {f"model.{name}": weight for name, weight in model.state_dict().items()}
    for name, weight in model.named_parameters():
        for optimizer in optimizers:
            for key, value in optimizer.state.get(weight, {}).items():
                tensors[f"optimizer.{name}.{key}"] = value
    with replacing(folder, ours=OURS) as temporary:
        temporary.mkdir()
        save_file(
            {name: value.detach().contiguous().clone() for name, value in tensors.items()},
            temporary / "state.safetensors",
        )
        write_json(temporary / "progress.json", asdict(progress))


def load_state(folder: Path, model: nn.Module, optimizers: Optimizers) -> Progress | None:
    """Restore what :func:`save_state` wrote; None where there is no state.

    Raises:
        DataError: the state belongs to another architecture, or the file is damaged.
    """
    file = folder / "state.safetensors"
    if not file.exists():
        return None
    tensors = load_file(file)
    weights = {name: _taken(tensors, f"model.{name}", file) for name in model.state_dict()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(f"{file}: {error}", f"remove {folder} to start afresh") from None
    for name, weight in model.named_parameters():
        prefix = f"optimizer.{name}."
        kept = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        for optimizer in optimizers:
            if any(weight is one for group in optimizer.param_groups for one in group["params"]):
                optimizer.state[weight] = {
                    key: value.to(weight.device) for key, value in kept.items()
                }
    fields = read_json(folder / "progress.json")
    fields["curve"] = tuple((row[0], row[1], row[2], row[3]) for row in fields["curve"])
    return Progress(**fields)


def _taken(tensors: dict[str, Tensor], name: str, file: Path) -> Tensor:
    if name not in tensors:
        raise DataError(f"{file}: holds no {name}", f"remove {file.parent} to start afresh")
    return tensors[name]
