"""Check of the imported features that params.yaml names: their folder and their widths."""

from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.doctor.checkpoints import Checkpoint
from siglip2_multimodal_hash.doctor.findings import Finding, fail, ok
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.imported.content import FILES
from siglip2_multimodal_hash.files import file_sha256, read_json, size_text
from siglip2_multimodal_hash.params import Params


def look_up_imported(params: Params) -> Checkpoint:
    """Find the folder that ``runtime.features_folder`` names; the arrays are not read.

    Its widths stand in the configuration as those of towers of next to no weights, because none
    will run.
    """
    folder = Path(params.runtime.features_folder)
    described = folder / store.META
    if not described.is_file():
        return Checkpoint("absent", f"{folder}: no imported features are there")
    if file_sha256(described) != params.backbone.revision:
        return Checkpoint("absent", f"{folder}: not those of backbone.revision")
    try:
        meta = read_json(described)
    except DataError as error:
        return Checkpoint("incomplete", str(error).splitlines()[0])
    missing = [name for name in FILES if name in meta["files"] and not (folder / name).is_file()]
    if missing:
        return Checkpoint("incomplete", f"{folder}: missing: {', '.join(missing)}")
    image, caption = (_no_tower(meta[key]) for key in ("image_dim", "caption_dim"))
    config = {
        "model_type": "siglip",
        "vision_config": image | {"image_size": 16},
        "text_config": caption | {"vocab_size": 1},
    }
    return Checkpoint("folder", str(folder), config=config)


def check_imported(checkpoint: Checkpoint) -> Finding:
    """Check that the stage ``embed`` can take over the imported features.

    Args:
        checkpoint: Result of :func:`look_up_imported`.
    """
    if checkpoint.place != "folder":
        return fail(
            "features",
            checkpoint.detail,
            "`smhash import-features` again, or `smhash use` with another backbone",
        )
    size = sum(path.stat().st_size for path in Path(checkpoint.detail).glob("*.npy"))
    return ok("features", f"{checkpoint.detail}: imported, {size_text(size)}")


def _no_tower(width: int) -> dict[str, Any]:
    return {"hidden_size": width, "intermediate_size": 1, "num_hidden_layers": 1}
