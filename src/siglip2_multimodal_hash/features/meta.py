"""Metadata of embeddings: ``meta.json``, and the more detailed fingerprint of unfinished ones.

The size of the batches, the device and the libraries move the last bits of every float, and so may
a change of this room's code.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from siglip2_multimodal_hash.datasets.items import DatasetItems
from siglip2_multimodal_hash.features.checkpoint_names import cached_commit
from siglip2_multimodal_hash.features.prompts import ENSEMBLE
from siglip2_multimodal_hash.features.spec import EmbeddingSpec
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.files import file_sha256
from siglip2_multimodal_hash.resume import computation, files_sha256

_LIBRARIES = ("numpy", "pillow", "tokenizers", "torch", "transformers")
_CODE = ("features/*.py", "features/engines/*.py", "datasets/images.py", "datasets/containers.py")


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
        # The commit behind the revision: a branch moves on. What was loaded is in the cache.
        "commit": None if local else cached_commit(backbone.checkpoint, backbone.revision),
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


def fingerprint(
    items: DatasetItems,
    meta: dict[str, Any],
    checkpoint: Path,
    batch_size: int,
    device: torch.device,
    *,
    compiled: bool = False,
    backend: str = "torch",
) -> dict[str, Any]:
    """JSON that is equal exactly where the embeddings are.

    The pixels themselves are not read: images count as the same when their names and sizes are.

    Args:
        items: The dataset.
        meta: See :func:`describe`; without the widths.
        checkpoint: The parameter; all files but the weights in that folder count.
        batch_size: Images or texts per batch.
        device: Device that computes.
        compiled: Whether ``torch.compile`` is asked for.
        backend: What runs the towers; with its version, but for PyTorch.
    """
    return meta | {
        "batch_size": batch_size,
        "compiled": compiled,
        "backend": backend,
        "dataset_sha256": _dataset_sha256(items),
        "checkpoint_sha256": files_sha256(
            path for path in checkpoint.glob("*") if path.suffix != ".safetensors"
        ),
        **computed_by(device),
    }


def computed_by(device: torch.device) -> dict[str, Any]:
    """Describe this process's device, code and libraries; see :func:`computation`."""
    return computation(device, _CODE, _LIBRARIES)


def _dataset_sha256(items: DatasetItems) -> str:
    images = items.frame[["file_name", "bytes", "width", "height"]]
    columns = [images[name].tolist() for name in images.columns]
    content = [*columns, items.frame["captions"].tolist(), list(items.category_names)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
