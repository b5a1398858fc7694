"""Tiny random SigLIP checkpoints of both kinds, the parameters for them, and archives of images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import (
    PreTrainedModel,
    ProcessorMixin,
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    Siglip2Processor,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipProcessor,
)

from siglip2_multimodal_hash.datasets.containers import open_container
from siglip2_multimodal_hash.datasets.images import ContainedImages
from siglip2_multimodal_hash.params import BackboneParams, RuntimeParams
from tests.parameters import PARAMS

SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
WIDTH = 32
Embed = Callable[..., Path]
Pictures = list[Image.Image]


def make_tokenizer() -> Siglip2Tokenizer:
    """A vocabulary of single characters: nothing to train, every word its own tokens."""
    characters = "▁abcdefghijklmnopqrstuvwxyz0123456789.,-'"
    vocabulary = {token: number for number, token in enumerate((*SPECIALS, *characters))}
    return Siglip2Tokenizer(
        vocab=vocabulary,
        merges=[],
        padding_side="right",
        model_input_names=["input_ids"],
        model_max_length=64,
    )


def save_checkpoint(folder: Path, kind: str) -> Path:
    """Save random towers of model type ``siglip`` or ``siglip2`` with all that AutoModel needs."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    layers = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = layers | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 1,
    }
    half = [0.5, 0.5, 0.5]
    if kind == "siglip":
        vision = layers | {"patch_size": 16, "image_size": 64}
        model: PreTrainedModel = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
        fixed = SiglipImageProcessorPil(
            size={"height": 64, "width": 64}, image_mean=half, image_std=half, resample=2
        )
        processor: ProcessorMixin = SiglipProcessor(image_processor=fixed, tokenizer=tokenizer)
    else:
        vision = layers | {"patch_size": 16, "num_patches": 16}
        model = Siglip2Model(Siglip2Config(text_config=text, vision_config=vision))
        # Another number of patches than the tests ask for: the argument must win.
        naflex = Siglip2ImageProcessorPil(patch_size=16, max_num_patches=64)
        processor = Siglip2Processor(image_processor=naflex, tokenizer=tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def make_backbone(checkpoint: Path | str, **changes: Any) -> BackboneParams:
    values = PARAMS.backbone.model_dump()
    tiny = {"name": "tiny", "checkpoint": str(checkpoint), "max_num_patches": 16}
    return BackboneParams.model_validate(values | tiny | changes)


def make_runtime(workers: int = 0, batch_size: int = 5, **embed: Any) -> RuntimeParams:
    values = PARAMS.runtime.model_dump()
    values["device"] = "cpu"
    values["dataloader"] |= {"num_workers": workers, "embed_batch_size": batch_size}
    values["embed"] |= embed
    values["logging"]["progress"] = False
    return RuntimeParams.model_validate(values)


def contents(folder: Path) -> dict[str, bytes]:
    """Its files by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def open_archive(path: Path) -> ContainedImages:
    """The images of ``val2014`` in an archive."""
    return ContainedImages({"val2014": open_container(path, "val2014")})


class FaultyImages(ContainedImages):
    """The images of an archive, some of them faulty.

    Args:
        archive: Of ``val2014``.
        endings: Of the faulty images' names.
        fault: What reading one of them gives, or raises.
    """

    def __init__(
        self,
        archive: Path,
        endings: str | tuple[str, ...],
        fault: bytes | BaseException = b"no image at all",
    ) -> None:
        super().__init__({"val2014": open_container(archive, "val2014")})
        self.endings, self.fault = endings, fault

    def read(self, file_name: str) -> bytes:
        if not file_name.endswith(self.endings):
            return super().read(file_name)
        if isinstance(self.fault, bytes):
            return self.fault
        raise self.fault
