"""The folder between ``tune_towers`` and ``embed``: tuned towers, or a record that there are none.

- ``tuning.json``: how the towers were tuned (``tune``: ``frozen`` where they were not), and how
  that went.
- Beside it, unless frozen, an ordinary checkpoint: ``config.json``, ``model.safetensors`` and the
  processor's files.

Imports nothing heavy: a frozen run loses no time here.
"""

import json
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.spec import Backbone
from siglip2_multimodal_hash.files import read_json, replacing
from siglip2_multimodal_hash.params import Params

RECORD = "tuning.json"
FROZEN = "frozen"


def leave_frozen(folder: Path) -> None:
    """Write the record of no tuned towers: ``embed`` takes ``backbone.checkpoint`` as it is."""
    with replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / RECORD).write_text(json.dumps({"tune": FROZEN}) + "\n", encoding="utf-8")


def embedded_backbone(params: Params, towers: Path) -> Backbone:
    """The backbone of ``params``, with the tuned checkpoint in place of its own where there is one.

    Args:
        params: Whole.
        towers: Output of ``tune_towers``.

    Raises:
        DataError: The folder is missing or damaged.
    """
    tuned = read_record(towers)["tune"] != FROZEN
    return Backbone(
        name=params.backbone.name,
        checkpoint=str(towers) if tuned else params.backbone.checkpoint,
        revision=params.backbone.revision,
        max_num_patches=params.backbone.max_num_patches,
        text_max_length=params.backbone.text_max_length,
        prompt_templates=params.backbone.prompt_templates,
        amp_dtype=params.backbone.amp_dtype,
        store_dtype=params.backbone.store_dtype,
    )


def read_record(folder: Path) -> dict[str, Any]:
    """The content of ``tuning.json``.

    Raises:
        DataError: It is missing or not what ``tune_towers`` writes.
    """
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("tune") not in (FROZEN, "lora", "full"):
        raise DataError(
            f"{folder / RECORD}: does not record how the towers were tuned", "run `dvc repro`"
        )
    return record
