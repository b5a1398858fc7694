"""Checkpoints in the form of the published SigLIP 2 ones, in half precision."""

import json
from pathlib import Path
from typing import Any, Final

import torch
from transformers import (
    Siglip2ImageProcessorPil,
    Siglip2Processor,
    Siglip2Tokenizer,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipProcessor,
)

from siglip2_multimodal_hash.files import Ours, holds_only, replacing
from siglip2_multimodal_hash.training.towers.architecture import IMAGE_SIZE, PATCH_SIZE
from siglip2_multimodal_hash.training.towers.forward import Towers

NAFLEX_PATCHES: Final = 64
"""The default number of patches of the NaFlex checkpoint: those of a square image of 128 pixels."""

_MEAN: Final = [0.5, 0.5, 0.5]
_BILINEAR: Final = 2


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

    Equal weights give equal bytes: no path, time or machine enters the files. A checkpoint of the
    same architecture makes way.

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
