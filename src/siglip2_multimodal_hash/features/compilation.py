"""``torch.compile`` for the towers, and the way back where it does not work."""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import torch

from siglip2_multimodal_hash.device import out_of_memory
from siglip2_multimodal_hash.features.towers import Towers

logger = logging.getLogger(__name__)

Features = Callable[..., Any]


def compiled(towers: Towers) -> Towers:
    """The same towers through ``torch.compile``.

    Compilation happens at the first batch of each and needs a C++ compiler on CPU, Triton on CUDA.
    Where it fails, the tower goes on as it was. A compiled tower sums in another order, so the last
    bits of the embeddings are others.
    """
    return dataclasses.replace(towers, model=CompiledModel(towers.model))


class CompiledModel:
    """Compiled model with the interface that :class:`.Towers` needs."""

    def __init__(self, model: Any) -> None:
        self.config = model.config
        self.get_image_features = CompiledFeatures(model.get_image_features, "images")
        self.get_text_features = CompiledFeatures(model.get_text_features, "texts")


class CompiledFeatures:
    """A tower's function through ``torch.compile``; picklable, a copy compiles anew.

    Args:
        features: Inputs by name to what the model gives.
        unit: Name of the items.
    """

    def __init__(self, features: Features, unit: str) -> None:
        self._plain = features
        self._unit = unit
        self._compiled: Features | None = _compile(features)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the compiled code; whether there is any stays."""
        return {**self.__dict__, "_compiled": self._compiled is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        code = _compile(state["_plain"]) if state["_compiled"] else None
        self.__dict__.update(state, _compiled=code)

    def __call__(self, **inputs: Any) -> Any:
        """Output of the model, equal but for the last bits."""
        if self._compiled is None:
            return self._plain(**inputs)
        try:
            return self._compiled(**inputs)
        # The compiler's stages each raise errors of their own; a defect of the model comes again.
        except Exception as error:
            if out_of_memory(error):
                raise
            logger.warning(
                "%s: torch.compile failed, continuing without: %s "
                "(runtime.embed.compile: false skips the attempt)",
                self._unit,
                # The first line only names the stage of the compiler.
                " ".join(str(error).split("\n", 2)[:2]).strip() or type(error).__name__,
            )
        self._compiled = None
        return self._plain(**inputs)


def _compile(features: Features) -> Features:
    # For any number of items: the last batch, and the parts of one that does not fit into memory,
    # would each be compiled again.
    code: Features = torch.compile(features, dynamic=True)
    return code
