"""The frozen SigLIP 2 towers: one loader for both kinds of checkpoint.

Fixed-resolution checkpoints have model type ``siglip``, NaFlex checkpoints ``siglip2``; ``AutoModel``
and ``AutoProcessor`` tell them apart. What comes out is the towers' pooled output *before* any
normalisation: ``image_embeds`` of the whole model is normalised already, so the magnitude that the
head decomposes would be a constant there.

Texts are treated as SigLIP 2 was trained (Tschannen et al., 2025): lower-case, padded to exactly 64
tokens, no attention mask, pooled at the last position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoProcessor
from transformers.utils import logging as transformers_logging

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import BackboneParams

FIXED, NAFLEX = "siglip", "siglip2"

Inputs = dict[str, Tensor]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Preprocessor:
    """Images as the checkpoint's own processor prepares them; picklable, for reader processes.

    Attributes:
        image_processor: Of the checkpoint's ``AutoProcessor``.
        max_num_patches: For NaFlex; None for a fixed resolution.
    """

    image_processor: Any
    max_num_patches: int | None

    def __call__(self, images: Sequence[Image.Image]) -> Inputs:
        """Prepare B RGB images: ``pixel_values``, and masks and shapes where the model has them."""
        options = {} if self.max_num_patches is None else {"max_num_patches": self.max_num_patches}
        return dict(self.image_processor(images=list(images), return_tensors="pt", **options))


@dataclass(frozen=True)
class Towers:
    """Both towers on one device, frozen.

    Attributes:
        model: In eval mode.
        tokenizer: Of the checkpoint.
        preprocess: Of the checkpoint.
        device: Where the model is.
        dtype: Of the towers' arithmetic; other than float32 under autocast.
        text_max_length: Tokens a text is padded or cut to.
    """

    model: Any
    tokenizer: Any
    preprocess: Preprocessor
    device: torch.device
    dtype: torch.dtype
    text_max_length: int

    def encode_images(self, inputs: Inputs) -> Tensor:
        """Pooled output of the image tower, float32 [B, D] on the device, not normalised."""
        return self._encode(self.model.get_image_features, inputs)

    def tokenize(self, texts: Sequence[str]) -> Inputs:
        """Tokens of B texts, int64 [B, L]: lower-case, padded to the full length, no mask."""
        tokens = self.tokenizer(
            [" ".join(text.lower().split()) for text in texts],
            padding="max_length",
            max_length=self.text_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return {"input_ids": tokens["input_ids"]}

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Pooled output of the text tower, float32 [B, D] on the device, not normalised."""
        return self._encode(self.model.get_text_features, self.tokenize(texts))

    def _encode(self, features: Any, inputs: Inputs) -> Tensor:
        moved = {name: v.to(self.device, non_blocking=True) for name, v in inputs.items()}
        autocast = torch.autocast(
            self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32
        )
        with torch.inference_mode(), autocast:
            return pooled(features(**moved)).float()


def pooled(output: Any) -> Tensor:
    """The pooled output itself: a tensor in transformers 4, an object that holds it in 5."""
    v: Tensor = getattr(output, "pooler_output", output)
    return v


def load_towers(backbone: BackboneParams, device: torch.device) -> Towers:
    """Load a checkpoint from a folder or the hub; only safetensors, never code from the hub.

    Raises:
        InputError: ``backbone.checkpoint`` is neither a folder nor reachable on the hub, is not a
            SigLIP checkpoint or incomplete, or ``backbone.amp_dtype`` does not suit the device.
    """
    dtype = DTYPES[backbone.amp_dtype]
    if dtype == torch.float16 and device.type == "cpu":
        raise InputError(
            "backbone.amp_dtype = float16: only possible on CUDA",
            "set backbone.amp_dtype to float32 or bfloat16, or runtime.device to cuda",
        )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    where = {} if Path(backbone.checkpoint).is_dir() else {"revision": backbone.revision}
    try:
        config = AutoConfig.from_pretrained(backbone.checkpoint, **where)
        if config.model_type not in (FIXED, NAFLEX):
            raise InputError(
                f"backbone.checkpoint = {backbone.checkpoint}: model type {config.model_type!r}",
                f"choose a SigLIP 2 checkpoint: model type {FIXED!r} or {NAFLEX!r} (NaFlex)",
            )
        model = AutoModel.from_pretrained(
            backbone.checkpoint, use_safetensors=True, dtype=torch.float32, **where
        )
        processor = AutoProcessor.from_pretrained(backbone.checkpoint, **where)
    except (OSError, ValueError) as error:
        raise InputError(
            f"backbone.checkpoint = {backbone.checkpoint}: cannot be loaded "
            f"({_first_line(error)})",
            "give a folder with config.json, model.safetensors and the processor's files, or the "
            "name of a repository on the hub (with network, or already in its cache)",
        ) from None
    flexible = config.model_type == NAFLEX
    return Towers(
        model=model.eval().requires_grad_(False).to(device),
        tokenizer=processor.tokenizer,
        preprocess=Preprocessor(
            processor.image_processor, backbone.max_num_patches if flexible else None
        ),
        device=device,
        dtype=dtype,
        text_max_length=backbone.text_max_length,
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
