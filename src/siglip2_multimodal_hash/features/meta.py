"""What ``meta.json`` says about embeddings: all that decides them, and nothing that varies."""

from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.features.prompts import ENSEMBLE
from siglip2_multimodal_hash.features.spec import EmbeddingSpec
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.files import file_sha256


def describe(backbone: EmbeddingSpec, towers: Towers, sizes: dict[str, int]) -> dict[str, Any]:
    """The content of ``meta.json``.

    Args:
        backbone: The parameters; ``name`` is only the name of a folder and is left out.
        towers: Loaded by these parameters.
        sizes: Counts and widths of the arrays.
    """
    local = Path(backbone.checkpoint).is_dir()
    return {
        "checkpoint": backbone.checkpoint,
        "revision": None if local else backbone.revision,
        # The commit behind the revision: a branch moves on.
        "commit": getattr(towers.model.config, "_commit_hash", None),
        "weights_sha256": weights_sha256(Path(backbone.checkpoint)),
        "model_type": towers.model_type,
        "image_processor": type(towers.preprocess.image_processor).__name__,
        "max_num_patches": towers.preprocess.max_num_patches,
        "text_max_length": towers.tokenize.max_length,
        "prompt_templates": list(backbone.prompt_templates),
        "prompt_ensemble": ENSEMBLE,
        "amp_dtype": backbone.amp_dtype,
        "dtype": backbone.store_dtype,
        "normalised": False,
        **sizes,
    }


def weights_sha256(checkpoint: Path) -> dict[str, str]:
    """SHA-256 of each weight file of a local folder, by its name; empty for a name on the hub."""
    return {file.name: file_sha256(file) for file in sorted(checkpoint.glob("*.safetensors"))}
