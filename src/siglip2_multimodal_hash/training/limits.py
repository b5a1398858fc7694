"""Limits that the size of a dataset sets to parameters, known before anything is fitted."""

from typing import Any

from siglip2_multimodal_hash.arrays import check_positives
from siglip2_multimodal_hash.params import Ivf, Params, check_neighbour_count, check_tag_count
from siglip2_multimodal_hash.retrieval.index_kinds import kind_of, resolved
from siglip2_multimodal_hash.training.schedule import check_batch_size


def check_limits(params: Params, statistics: dict[str, Any]) -> None:
    """Refuse what stages behind the first fit would refuse, for hours later.

    Args:
        params: The parameters.
        statistics: See :func:`..datasets.statistics.dataset_statistics`.

    Raises:
        InputError: More tags per photo than classes; more neighbours or clusters than the database
            has items; a batch larger than train where incomplete batches are left out.
        DataError: No image of val or test has a label.
    """
    splits = statistics["splits"]
    check_tag_count(params.knn.top_n_tags, len(statistics["categories"]))
    check_batch_size(
        splits["train"]["images"], params.training.batch_size, drop_last=params.training.drop_last
    )
    for split in ("val", "test"):
        check_positives(f"labels of {split}", splits[split]["labelled"] > 0)
    whole = splits.get("database", splits["train"])["images"]
    # The queries of val are searched in what is left of the database without them.
    items = whole - statistics["images"].get("database_val", 0)
    check_neighbour_count(params.knn.K, items)
    kind = kind_of(params.index)
    if isinstance(kind, Ivf):  # the limits of the others are known from params.yaml alone
        resolved(kind, items, bits=0)
