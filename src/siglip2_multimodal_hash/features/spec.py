"""Choice of towers and how to run them, without parameters that concern their tuning alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from siglip2_multimodal_hash.params import AmpDtype, StoreDtype


class TowerSpec(Protocol):
    """Settings that loading a pair of towers depends on; ``BackboneParams`` is one."""

    @property
    def checkpoint(self) -> str:
        """Folder, or name on the hub."""

    @property
    def revision(self) -> str:
        """Revision of the hub's repository."""

    @property
    def max_num_patches(self) -> int:
        """Most patches of a NaFlex image."""

    @property
    def text_max_length(self) -> int:
        """Tokens of a text."""

    @property
    def amp_dtype(self) -> AmpDtype:
        """Dtype of the towers' arithmetic."""


class EmbeddingSpec(TowerSpec, Protocol):
    """Settings that the embeddings of a dataset depend on."""

    @property
    def prompt_templates(self) -> Sequence[str]:
        """Templates of the class prompts."""

    @property
    def store_dtype(self) -> StoreDtype:
        """Dtype of the files."""


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
