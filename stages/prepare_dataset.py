"""Make the source of the dataset ready: render it, or look at it where it lies."""

import logging
from pathlib import Path

from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.datasets.sources import open_source
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.params import Params


def main(params: Params, out: Path) -> None:
    """Write the manifest of the source, and for mojicoco the source itself."""
    source = open_source(params.dataset, params.runtime, out)
    source.prepare()
    manifest = describe_source(source.root, out, params.dataset.kind)
    logging.getLogger(__name__).info(
        "%s: %d images, %d annotation files",
        params.dataset.name,
        len(manifest.images),
        len(manifest.annotations),
    )


if __name__ == "__main__":
    run_stage(main, "out")
