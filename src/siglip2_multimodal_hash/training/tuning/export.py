"""Tuned towers as a checkpoint like any other: safetensors, config and the processor's files."""

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

from transformers import Siglip2Processor, SiglipProcessor

from siglip2_multimodal_hash.features.towers import NAFLEX, Towers
from siglip2_multimodal_hash.features.tuned import RECORD
from siglip2_multimodal_hash.files import holds_only, write_json


def export_towers(folder: Path, towers: Towers, record: dict[str, Any]) -> None:
    """Fill a new folder, which the caller makes appear whole or not at all.

    Weights are float32, so that they reproduce the outputs of the adapted towers. Equal towers
    give equal bytes: no path, time or machine enters the files.

    Args:
        folder: Created.
        towers: Plain ones, without adapters.
        record: For ``tuning.json``, see :mod:`.tuned`.
    """
    folder.mkdir(parents=True)
    model: Any = towers.model
    # Its origin is no part of it, and transformers would write it into the files.
    model.config.name_or_path = ""
    model.save_pretrained(folder)
    kind: Any = Siglip2Processor if towers.model_type == NAFLEX else SiglipProcessor
    tokenizer = _as_loaded(towers.tokenize.tokenizer)
    kind(towers.preprocess.image_processor, tokenizer).save_pretrained(folder)
    write_json(folder / RECORD, record)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes for the owner alone


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs left beside ``folder``; see :func:`.files.replacing`."""
    for path in folder.parent.glob(f".{folder.name}.tmp-*"):
        process = re.search(r"\.tmp-(\d+)", path.name)
        if process and not _alive(int(process[1])) and holds_only("new")(path):
            shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    with contextlib.suppress(PermissionError):  # another user's
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True


def _as_loaded(tokenizer: Any) -> Any:
    """Reset the padding, truncation and origin that calls leave in a tokenizer."""
    if (backend := getattr(tokenizer, "backend_tokenizer", None)) is not None:
        backend.no_padding()
        backend.no_truncation()
    for key in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(key, None)
    return tokenizer
