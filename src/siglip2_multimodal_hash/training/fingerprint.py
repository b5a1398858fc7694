"""All that decides the bytes of a fit: an unfinished one may only be continued by its like."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from siglip2_multimodal_hash.features.fingerprint import computation
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import CheckpointingParams
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.placement import Rows
from siglip2_multimodal_hash.training.settings import FitSettings

_LIBRARIES = ("numpy", "safetensors", "torch")
_CODE = ("device.py", "models/**/*.py", "training/**/*.py")
# Rows that are hashed at a time.
_PIECE = 8192


def fit_fingerprint(
    config: HeadConfig,
    train: TrainingData,
    val: ValidationData,
    settings: FitSettings,
    checkpointing: CheckpointingParams,
    device: torch.device,
) -> dict[str, Any]:
    """JSON that is equal exactly where two fits are; its keys are the parameters' names.

    Args:
        config: Shape of the head.
        train: Every value counts.
        val: Every value counts.
        settings: Its ``runtime`` does not count.
        checkpointing: Which files are kept.
        device: What computes.
    """
    sections = {
        "loss": settings.loss,
        "training": settings.training,
        "scheduler": settings.scheduler,
        "checkpointing": checkpointing,
    }
    values: dict[str, Any] = {f"head.{key}": value for key, value in config.to_json().items()}
    for name, section in sections.items():
        values |= {f"{name}.{key}": value for key, value in section.model_dump().items()}
    values |= {f"optimizer.{key}": value for key, value in asdict(settings.adam).items()}
    values |= {
        settings.lr_name: settings.lr,
        "seed": settings.seed,
        "training data": _tensors_sha256(
            train.v_img, train.captions, train.caption_offsets, train.labels
        ),
        "validation data": _tensors_sha256(val.v_img, val.v_txt, val.labels),
        **computation(device, _CODE, _LIBRARIES),
    }
    # As it comes back from a file.
    parsed: dict[str, Any] = json.loads(json.dumps(values))
    return parsed


def _tensors_sha256(*tensors: Rows) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {list(tensor.shape)}\0".encode())
        for start in range(0, len(tensor), _PIECE):
            rows = torch.arange(start, min(start + _PIECE, len(tensor)), device=tensor.device)
            piece = tensor.index_select(0, rows).detach().cpu().contiguous().numpy()
            digest.update(piece.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
