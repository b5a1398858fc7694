"""A process that embeds a small dataset and is killed, or interrupted, at a chosen moment.

``python -m tests.features.embed_child FOLDER OUT [SIGNAL METHOD CALL WHEN]``: FOLDER holds
``index.parquet``, ``val2014.zip`` and ``params.json``; the signal comes ``before`` or ``after``
the CALL-th call of METHOD.
"""

import json
import sys
from pathlib import Path

from siglip2_multimodal_hash.kernels import pin_cpu_kernels
from siglip2_multimodal_hash.params import Params
from tests.signalling import arm, heed_ctrl_c

pin_cpu_kernels()

ROOM = "siglip2_multimodal_hash"
# Printed when everything is imported and the work begins.
READY = "ready"


def embed(folder: Path, out: Path) -> None:
    """Embed what FOLDER holds, in this process."""
    from siglip2_multimodal_hash.datasets.containers import open_container
    from siglip2_multimodal_hash.datasets.images import ContainedImages
    from siglip2_multimodal_hash.datasets.index import read_index
    from siglip2_multimodal_hash.features.runner import embed_dataset

    params = read_params(folder)
    images = ContainedImages({"val2014": open_container(folder / "val2014.zip", "val2014")})
    index = read_index(folder / "index.parquet")
    print(READY, file=sys.stderr, flush=True)
    embed_dataset(index, images, params.backbone, params.runtime, out, shard_seconds=0)


def read_params(folder: Path) -> Params:
    return Params.model_validate(json.loads((folder / "params.json").read_text()))


def main() -> None:
    import torch

    from siglip2_multimodal_hash.entry import set_up_log

    heed_ctrl_c()
    torch.set_num_threads(1)
    folder, out = map(Path, sys.argv[1:3])
    if sys.argv[3:]:
        arm(ROOM, *sys.argv[3:])
    set_up_log(read_params(folder))
    embed(folder, out)


if __name__ == "__main__":
    from siglip2_multimodal_hash.errors import run_guarded

    run_guarded(main)
