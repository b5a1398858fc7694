"""All that decides the bytes of the embeddings: unfinished work may only be continued by its like.

More than ``meta.json`` says: the size of the batches, the device and the libraries move the last
bits of every float, and so may a change of this room's code.
"""

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.files import file_sha256

_LIBRARIES = ("numpy", "pillow", "tokenizers", "torch", "transformers")
_PACKAGE = Path(__file__).parents[1]
_CODE = (
    "device.py",
    "features/*.py",
    "features/engines/*.py",
    "datasets/images.py",
    "datasets/containers.py",
)


def fingerprint(
    index: DatasetIndex,
    meta: dict[str, Any],
    checkpoint: Path,
    batch_size: int,
    device: torch.device,
    *,
    compiled: bool = False,
) -> dict[str, Any]:
    """JSON that is equal exactly where the embeddings are.

    The pixels themselves are not read: images count as the same when their names and sizes are.

    Args:
        index: The dataset.
        meta: See :func:`.meta.describe`; without the widths.
        checkpoint: The parameter; what else than weights lies in that folder counts as well.
        batch_size: Images or texts a batch.
        device: What computes.
        compiled: Whether ``torch.compile`` is asked for.
    """
    values = meta | {
        "batch_size": batch_size,
        "compiled": compiled,
        "dataset_sha256": _dataset_sha256(index),
        "checkpoint_sha256": _files_sha256(
            path for path in checkpoint.glob("*") if path.suffix != ".safetensors"
        ),
        **computed_by(device),
    }
    # As it comes back from a file.
    parsed: dict[str, Any] = json.loads(json.dumps(values))
    return parsed


def computed_by(device: torch.device) -> dict[str, Any]:
    """What this process computes embeddings with; see :func:`computation`."""
    return computation(device, _CODE, _LIBRARIES)


def computation(
    device: torch.device, code: Iterable[str], libraries: Iterable[str]
) -> dict[str, Any]:
    """What this process computes with: code, libraries, device and threads.

    Args:
        device: What computes.
        code: Patterns of modules in the package.
        libraries: Names of distributions.
    """
    return {
        "code_sha256": _files_sha256(path for part in code for path in _PACKAGE.glob(part)),
        "libraries": {name: version(name) for name in libraries},
        "device": _device(device),
    }


def _dataset_sha256(index: DatasetIndex) -> str:
    images = index.frame[["file_name", "bytes", "width", "height"]]
    columns = [images[name].tolist() for name in images.columns]
    content = [*columns, index.frame["captions"].tolist(), list(index.category_names)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _files_sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(f"{path.name}\0{file_sha256(path)}\0".encode())
    return digest.hexdigest()


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    # Sums are split by thread, and each instruction set adds in an order of its own.
    return f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
