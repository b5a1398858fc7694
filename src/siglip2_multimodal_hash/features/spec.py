"""Which towers to run and how, without the parameters that concern their tuning alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from siglip2_multimodal_hash.params import AmpDtype, StoreDtype


class TowerSpec(Protocol):
    """What loading a pair of towers depends on; ``BackboneParams`` is one."""

    @property
    def checkpoint(self) -> str:
        """Folder, or name on the hub."""

    @property
    def revision(self) -> str:
        """Of the hub's repository."""

    @property
    def max_num_patches(self) -> int:
        """Of a NaFlex image."""

    @property
    def text_max_length(self) -> int:
        """Tokens of a text."""

    @property
    def amp_dtype(self) -> AmpDtype:
        """Of the towers' arithmetic."""


class EmbeddingSpec(TowerSpec, Protocol):
    """What the embeddings of a dataset depend on."""

    @property
    def prompt_templates(self) -> Sequence[str]:
        """Of the class prompts."""

    @property
    def store_dtype(self) -> StoreDtype:
        """Of the files."""


@dataclass(frozen=True)
class Backbone:
    """The part of ``BackboneParams`` that :class:`EmbeddingSpec` asks for; ``name`` is a folder."""

    name: str
    checkpoint: str
    revision: str
    max_num_patches: int
    text_max_length: int
    prompt_templates: tuple[str, ...]
    amp_dtype: AmpDtype
    store_dtype: StoreDtype
