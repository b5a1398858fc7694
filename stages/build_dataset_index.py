"""Join annotations and split into one table: captions, labels and split of each image.

Images and captions are written on their own, too, for what must not depend on the split.
"""

import logging
from pathlib import Path

from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.datasets.index import write_index
from siglip2_multimodal_hash.datasets.index_builder import (
    build_index,
    leave_out_unreadable,
    read_source,
)
from siglip2_multimodal_hash.datasets.items import write_items
from siglip2_multimodal_hash.datasets.object_sizes import write_object_sizes
from siglip2_multimodal_hash.datasets.sources import open_source
from siglip2_multimodal_hash.datasets.split_file import read_split
from siglip2_multimodal_hash.datasets.statistics import dataset_statistics
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.params import Params


def main(
    params: Params,
    source: Path,
    split: Path,
    items: Path,
    index: Path,
    statistics: Path,
    objects: Path,
) -> None:
    """Write the items, the index, its statistics and the sizes of the objects."""
    kind = params.dataset.kind
    dataset = open_source(params.dataset, params.runtime, source)
    annotations, image_bytes = read_source(dataset.root, source, kind, dataset.annotations)
    chosen = read_split(split)
    built, counts = build_index(annotations, chosen, image_bytes, params.dataset.unlabelled)
    if params.dataset.on_corrupt == "drop":
        workers = params.runtime.dataloader.num_workers
        built = leave_out_unreadable(built, open_image_source(dataset.root, kind), workers)
    write_items(items, built)
    write_index(index, built)
    write_json(statistics, dataset_statistics(built))
    ids = built.frame["image_id"].to_numpy()
    write_object_sizes(objects, annotations.sizes.of_images(ids))
    logging.getLogger(__name__).info("; ".join(counts.lines()))


if __name__ == "__main__":
    run_stage(main, "source", "split", "items", "index", "statistics", "objects")
