"""Validate Karpathy's split of the dataset and write it in its normal form."""

import logging
from pathlib import Path

from siglip2_multimodal_hash.datasets.acquisition.missing import fetch_split
from siglip2_multimodal_hash.datasets.karpathy import normalise_karpathy_split
from siglip2_multimodal_hash.datasets.layout import find_split, source_root
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.params import Params


def main(params: Params, source: Path, out: Path) -> None:
    """Write which image is in which split."""
    root = source_root(params.dataset.name, source, params.runtime.coco_root)
    fetch_split(params.dataset.name, params.dataset.protocol, root, params.runtime)
    counts = normalise_karpathy_split(find_split(root), out)
    logging.getLogger(__name__).info(
        "protocol %s: %s",
        params.dataset.protocol,
        ", ".join(f"{name} {count:,}" for name, count in counts.items()),
    )


if __name__ == "__main__":
    run_stage(main, "source", "out")
