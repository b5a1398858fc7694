"""Images and texts as the towers were trained on them; picklable, so that any engine can send them.

Images go through the checkpoint's own processor, or through fewer steps to the same numbers. Texts
are treated as SigLIP 2 was trained (Tschannen et al., 2025): lower-case, padded to exactly 64
tokens, no attention mask, pooled at the last position. Nothing else is done to them: blanks and
line breaks are tokens, as in the models' own code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from siglip2_multimodal_hash.features.resizing import LookUp

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class ImagePreprocessor:
    """B images to ``pixel_values``, and for NaFlex ``pixel_attention_mask``, ``spatial_shapes``.

    Attributes:
        image_processor: Of the checkpoint's ``AutoProcessor``.
        max_num_patches: For NaFlex; None for a fixed resolution.
        shortcut: Gives the same as the processor, sooner; None where there is no such.
    """

    image_processor: Any
    max_num_patches: int | None
    shortcut: LookUp | None = None

    def __call__(self, images: Sequence[Image.Image]) -> Inputs:
        """Prepare B RGB images."""
        if self.shortcut is not None:
            return {"pixel_values": self.shortcut(images)}
        options = {} if self.max_num_patches is None else {"max_num_patches": self.max_num_patches}
        return dict(self.image_processor(images=list(images), return_tensors="pt", **options))


@dataclass(frozen=True)
class Tokenizer:
    """B texts to ``input_ids`` int64 [B, L]; there is no mask, so padding counts as text.

    Attributes:
        tokenizer: Of the checkpoint's ``AutoProcessor``.
        max_length: L.
    """

    tokenizer: Any
    max_length: int

    def __call__(self, texts: Sequence[str]) -> Inputs:
        """Tokenise B texts."""
        tokens = self.tokenizer(
            [text.lower() for text in texts],
            padding="max_length",
            max_length=self.max_length,
            truncation=True,
            return_tensors="pt",
        )
        return {"input_ids": tokens["input_ids"]}
