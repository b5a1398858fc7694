"""Folders that a training writes: its resumable state, without pickle, and the checkpoint."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    Siglip2ImageProcessorPil,
    Siglip2Processor,
    Siglip2Tokenizer,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipProcessor,
)

from models.pretrain.curve import CurveRow
from models.pretrain.towers import IMAGE_SIZE, NAFLEX_PATCHES, PATCH_SIZE, Towers
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import Ours, holds_only, read_json, replacing, write_json

OURS = holds_only(r"progress\.json|state\.safetensors")
_MEAN = [0.5, 0.5, 0.5]
_BILINEAR = 2

Optimizers = tuple[torch.optim.Optimizer, ...]


@dataclass(frozen=True)
class Progress:
    """Progress of a training."""

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
    """Restore the state that :func:`save_state` wrote; None where there is none.

    Raises:
        DataError: The state belongs to another architecture, or the file is damaged.
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


def processor_for(model: Towers, tokenizer: Siglip2Tokenizer) -> Any:
    """The processor that prepares images and texts as the model was trained on them."""
    if isinstance(model, SiglipModel):
        images = SiglipImageProcessorPil(
            size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
            resample=_BILINEAR,
            image_mean=_MEAN,
            image_std=_MEAN,
        )
        fixed: Any = SiglipProcessor
        return fixed(images, tokenizer)
    patches = Siglip2ImageProcessorPil(
        patch_size=PATCH_SIZE,
        max_num_patches=NAFLEX_PATCHES,
        resample=_BILINEAR,
        image_mean=_MEAN,
        image_std=_MEAN,
    )
    naflex: Any = Siglip2Processor
    return naflex(patches, tokenizer)


def _of_architecture(model: Towers) -> Ours:
    """Tells a folder with a checkpoint of these towers, whatever the weights, and nothing else."""
    config: Any = model.config
    sizes = (config.text_config.vocab_size, config.vision_config.hidden_size)
    only_a_checkpoint = holds_only(
        r"config\.json|model\.safetensors|processor_config\.json|tokenizer(_config)?\.json"
    )

    def ours(folder: Path) -> bool:
        try:
            found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            same = (found["text_config"]["vocab_size"], found["vision_config"]["hidden_size"])
        except (ValueError, KeyError, TypeError):
            return False
        return only_a_checkpoint(folder) and same == sizes

    return ours


def export_checkpoint(folder: Path, model: Towers, tokenizer: Siglip2Tokenizer) -> None:
    """Write a folder for ``AutoModel`` and ``AutoProcessor``, whole or not at all.

    Weights are in half precision. Equal ones give equal bytes: no path, time or machine enters
    the files. A checkpoint of the same architecture makes way.

    Raises:
        InputError: The folder holds something else.
    """
    weights = {
        name: weight.detach().to("cpu", torch.float16).contiguous()
        for name, weight in model.state_dict().items()
    }
    architecture: Any = type(model)
    half = architecture(model.config).to(torch.float16)
    half.config.trained_on = "mojicoco"  # to warn whoever shows it something else
    half.load_state_dict(weights)
    with replacing(folder, ours=_of_architecture(model)) as temporary:
        half.save_pretrained(temporary)
        processor_for(model, tokenizer).save_pretrained(temporary)
        for file in temporary.iterdir():
            file.chmod(0o644)  # safetensors writes for the owner alone
