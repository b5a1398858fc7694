"""Make the source of the dataset ready: render mojicoco, or look at COCO where it lies."""

import logging
from pathlib import Path

from siglip2_multimodal_hash.datasets.sources import prepare_source
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.params import Params


def main(params: Params, out: Path) -> None:
    """Write the manifest of the source, and for mojicoco the source itself."""
    manifest = prepare_source(params.dataset.name, params.dataset.mojicoco, params.runtime, out)
    logging.getLogger(__name__).info(
        "%s: %d images, %d annotation files",
        params.dataset.name,
        len(manifest.images),
        len(manifest.annotations),
    )


if __name__ == "__main__":
    run_stage(main, "out")
