"""Write the split of the dataset in its normal form: Karpathy's, another protocol's, its own."""

import logging
from pathlib import Path

from siglip2_multimodal_hash.datasets.sources import open_source
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.params import Params


def main(params: Params, source: Path, out: Path) -> None:
    """Write which image is in which split."""
    counts = open_source(params.dataset, params.runtime, source).write_split(out)
    logging.getLogger(__name__).info("protocol %s: %s", params.dataset.protocol, counts.line())


if __name__ == "__main__":
    run_stage(main, "source", "out")
