"""Write the split of the dataset in its normal form: Karpathy's, or another protocol's."""

import logging
from pathlib import Path

from siglip2_multimodal_hash.datasets.acquisition import fetch_missing
from siglip2_multimodal_hash.datasets.layout import source_root
from siglip2_multimodal_hash.datasets.protocols import write_protocol_split
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.params import Params


def main(params: Params, source: Path, out: Path) -> None:
    """Write which image is in which split."""
    if params.dataset.name == "coco2014":
        fetch_missing(params.runtime, hashnet=params.dataset.protocol == "hashnet")
    counts = write_protocol_split(
        params.dataset.protocol,
        source_root(params.dataset.name, source, params.runtime.coco_root),
        out,
        val_images=params.dataset.val_slice.images,
        seed=params.dataset.val_slice.seed,
        whole_coco=params.dataset.name == "coco2014",
    )
    logging.getLogger(__name__).info("protocol %s: %s", params.dataset.protocol, counts.line())


if __name__ == "__main__":
    run_stage(main, "source", "out")
