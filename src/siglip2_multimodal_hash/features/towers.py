"""The SigLIP 2 towers, frozen: one loader for both kinds of checkpoint.

Fixed-resolution checkpoints have model type ``siglip``, NaFlex checkpoints ``siglip2``;
``AutoModel`` and ``AutoProcessor`` tell them apart. What comes out is the towers' pooled output
*before* any normalisation: ``image_embeds`` of the whole model is normalised already, so the
magnitude that the head decomposes would be a constant there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.checkpoint_names import (
    cached_commit,
    first_line,
    means_folder,
    unusable,
)
from siglip2_multimodal_hash.features.preprocessing import ImagePreprocessor, Inputs, Tokenizer
from siglip2_multimodal_hash.features.resizing import LookUp
from siglip2_multimodal_hash.features.spec import TowerSpec
from siglip2_multimodal_hash.progress import phase

FIXED, NAFLEX = "siglip", "siglip2"

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, eq=False)
class Towers:
    """Both towers on one device, frozen; picklable.

    Attributes:
        model: In eval mode, float32.
        preprocess: Images to the image tower's inputs.
        tokenize: Texts to the text tower's inputs.
        device: Device of the model.
        dtype: Of the towers' arithmetic; other than float32 under autocast.
    """

    model: Any
    preprocess: ImagePreprocessor
    tokenize: Tokenizer
    device: torch.device
    dtype: torch.dtype

    @property
    def model_type(self) -> str:
        """``siglip`` (fixed resolution) or ``siglip2`` (NaFlex)."""
        kind: str = self.model.config.model_type
        return kind

    @property
    def trained_on(self) -> str | None:
        """The dataset that they know alone, as ``config.json`` says; None where it is silent."""
        return getattr(self.model.config, "trained_on", None)

    def encode_images(self, inputs: Inputs) -> Tensor:
        """Pooled output of the image tower, float32 [B, D_i] on the device, not normalised.

        Args:
            inputs: Output of :attr:`preprocess` for B images.
        """
        return self._encode(self.model.get_image_features, inputs)

    def encode_tokens(self, inputs: Inputs) -> Tensor:
        """Pooled output of the text tower, float32 [B, D_t] on the device, not normalised.

        Args:
            inputs: Output of :attr:`tokenize` for B texts.
        """
        return self._encode(self.model.get_text_features, inputs)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """:attr:`tokenize` and :meth:`encode_tokens` in one go."""
        return self.encode_tokens(self.tokenize(texts))

    def _encode(self, features: Any, inputs: Inputs) -> Tensor:
        moved = {name: v.to(self.device, non_blocking=True) for name, v in inputs.items()}
        autocast = torch.autocast(
            self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32
        )
        with torch.inference_mode(), autocast:
            return pooled(features(**moved)).float()


def pooled(output: Any) -> Tensor:
    """Take the pooled output: an object holds it in transformers 5, it is the result in 4."""
    v: Tensor = getattr(output, "pooler_output", output)
    return v


def load_towers(backbone: TowerSpec, device: torch.device) -> Towers:
    """Load a checkpoint from a folder or the hub; only safetensors, never code from the hub.

    Raises:
        InputError: ``backbone.checkpoint`` is neither a folder nor reachable on the hub, is no
            two-tower SigLIP checkpoint, or incomplete; or ``backbone.amp_dtype`` does not suit the
            device, or ``backbone.text_max_length`` the text tower.
    """
    dtype = _check_dtype(backbone.amp_dtype, device)
    with phase("loading the towers"):
        model, processor = _load(backbone)
    longest = model.config.text_config.max_position_embeddings
    if backbone.text_max_length > longest:
        raise InputError(
            f"backbone.text_max_length = {backbone.text_max_length}: the text tower of "
            f"{backbone.checkpoint} has {longest} positions",
            f"set backbone.text_max_length to {longest}",
        )
    flexible = model.config.model_type == NAFLEX
    return Towers(
        model=model.float().eval().requires_grad_(False).to(device),
        preprocess=ImagePreprocessor(
            processor.image_processor,
            backbone.max_num_patches if flexible else None,
            None if flexible else LookUp.like(processor.image_processor),
        ),
        tokenize=Tokenizer(processor.tokenizer, backbone.text_max_length),
        device=device,
        dtype=dtype,
    )


def _check_dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "float16" and device.type == "cpu":
        raise InputError(
            "backbone.amp_dtype = float16: only possible on CUDA",
            "set backbone.amp_dtype to float32 or bfloat16, or runtime.device to cuda",
        )
    if (
        name == "bfloat16"
        and device.type == "cuda"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        raise InputError(
            "backbone.amp_dtype = bfloat16: this card has no bfloat16 arithmetic",
            "set backbone.amp_dtype to float16 or float32",
        )
    return DTYPES[name]


def _load(backbone: TowerSpec) -> tuple[Any, Any]:
    """The model and the processor of a checkpoint, complete and of the right kind."""
    checkpoint = backbone.checkpoint
    local = Path(checkpoint).is_dir()
    if not local and means_folder(checkpoint):
        raise unusable(checkpoint, "no such folder")
    # Partly without types.
    library: Any = transformers
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    try:
        # The cached commit of a branch, not the hub's of today: DVC knows that one.
        revision = cached_commit(checkpoint, backbone.revision) if not local else None
        where = {} if local else {"revision": revision or backbone.revision}
        kind = library.AutoConfig.from_pretrained(checkpoint, **where).model_type
        if kind not in (FIXED, NAFLEX):
            raise InputError(
                f"backbone.checkpoint = {checkpoint}: model type {kind!r}",
                f"choose a SigLIP 2 checkpoint: model type {FIXED!r} or {NAFLEX!r} (NaFlex)",
            )
        model, report = library.AutoModel.from_pretrained(
            checkpoint, use_safetensors=True, output_loading_info=True, **where
        )
        processor = library.AutoProcessor.from_pretrained(checkpoint, **where)
        # torchvision resizes otherwise than Pillow: with it installed, a user would get other
        # embeddings than without.
        processor.image_processor = library.AutoImageProcessor.from_pretrained(
            checkpoint, backend="pil", **where
        )
    except InputError:
        raise
    # On a damaged checkpoint transformers raises whatever its internals happen to raise.
    except Exception as error:
        raise unusable(checkpoint, first_line(error)) from error
    if report["missing_keys"]:
        # transformers only warns, and fills the gaps with random numbers.
        missing = sorted(report["missing_keys"])
        raise unusable(checkpoint, f"{len(missing)} weights are missing, such as {missing[0]}")
    # Older releases have no such attribute unless the file names it.
    if not getattr(model.config.vision_config, "vision_use_head", True):
        raise unusable(checkpoint, "its image tower has no pooling head")
    if len(processor.tokenizer) <= len(set(processor.tokenizer.all_special_ids)):
        # The result, in transformers, of a checkpoint without the tokenizer's file.
        raise unusable(checkpoint, "its tokenizer has no vocabulary")
    return model, processor
