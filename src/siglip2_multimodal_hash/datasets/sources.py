"""How the files of a dataset come to their place."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.acquisition.missing import fetch_source
from siglip2_multimodal_hash.datasets.layout import source_root
from siglip2_multimodal_hash.datasets.manifest import Manifest, describe_source
from siglip2_multimodal_hash.datasets.mojicoco import generate_mojicoco
from siglip2_multimodal_hash.params import MojicocoParams, RuntimeParams


def prepare_source(
    name: str, mojicoco: MojicocoParams, runtime: RuntimeParams, folder: Path
) -> Manifest:
    """Render mojicoco into ``folder``, or look at COCO where it lies; write the manifest there.

    What is missing of COCO is fetched where ``runtime.download.enabled`` allows it.

    Raises:
        DataError: Pieces of COCO are missing or unreadable, and the message names them all; or
            they cannot be fetched.
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
            progress=runtime.logging.progress,
        )
    root = source_root(name, folder, runtime.coco_root)
    fetch_source(name, root, runtime)
    return describe_source(root, folder)
