"""Preparation of a dataset's source: rendered, fetched or only described."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.acquisition import fetch_missing
from siglip2_multimodal_hash.datasets.layout import source_root
from siglip2_multimodal_hash.datasets.manifest import Manifest, describe_source
from siglip2_multimodal_hash.datasets.mojicoco import generate_mojicoco
from siglip2_multimodal_hash.params import MojicocoParams, RuntimeParams


def prepare_source(
    name: str, mojicoco: MojicocoParams, runtime: RuntimeParams, folder: Path
) -> Manifest:
    """Render mojicoco into ``folder``, or look at COCO where it lies; write the manifest there.

    With ``runtime.download.enabled``, what is missing of COCO is fetched first.

    Raises:
        DataError: Pieces of COCO are missing or unreadable; the message names them all.
    """
    if name == "mojicoco":
        generate_mojicoco(
            folder,
            train=mojicoco.train,
            restval=mojicoco.restval,
            val=mojicoco.val,
            test=mojicoco.test,
            image_size=mojicoco.image_size,
            seed=mojicoco.seed,
            workers=max(1, runtime.dataloader.num_workers),
        )
    else:
        fetch_missing(runtime)
    return describe_source(source_root(name, folder, runtime.coco_root), folder)
