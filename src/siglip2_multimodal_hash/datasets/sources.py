"""Where the files of a dataset are, and how they come there."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.manifest import Manifest, describe_source
from siglip2_multimodal_hash.datasets.mojicoco import generate_mojicoco
from siglip2_multimodal_hash.params import MojicocoParams, RuntimeParams


def source_root(name: str, folder: Path, coco_root: str) -> Path:
    """The folder that holds the images and annotations of a dataset.

    Args:
        name: ``dataset.name``.
        folder: What the stage ``prepare_dataset`` wrote. It holds the files of mojicoco, and of
            COCO only the manifest: COCO is read where it lies.
        coco_root: ``runtime.coco_root``.
    """
    return folder if name == "mojicoco" else Path(coco_root)


def prepare_source(
    name: str, mojicoco: MojicocoParams, runtime: RuntimeParams, folder: Path
) -> Manifest:
    """Render mojicoco into ``folder``, or look at COCO where it lies; write the manifest there.

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
            progress=runtime.logging.progress,
        )
    return describe_source(source_root(name, folder, runtime.coco_root), folder)
