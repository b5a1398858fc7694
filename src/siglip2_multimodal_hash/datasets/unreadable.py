"""Images that cannot be decoded: found while the index is made, so that it never names them.

Only where they are to be left out. Otherwise nothing is decoded here: the embedding pass decodes
every image anyhow, and names all that it could not read.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from siglip2_multimodal_hash.datasets.images import ImageSource, decode_rgb
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.datasets.index_builder import check_splits
from siglip2_multimodal_hash.datasets.split_file import count_splits
from siglip2_multimodal_hash.errors import DataError

logger = logging.getLogger(__name__)

# Images handed to the threads at once, so that no future waits for each of 123,000.
_CHUNK = 1024


def leave_out_unreadable(index: DatasetIndex, images: ImageSource, workers: int) -> DatasetIndex:
    """The rows of an index whose images can be decoded; every other one is logged with its reason.

    Args:
        index: N images.
        images: Where they lie.
        workers: Threads that decode; 0 decodes in this one.

    Raises:
        DataError: No image is left in one of train, val and test.
    """
    names = index.frame["file_name"].tolist()
    reasons = find_unreadable(images, names, workers)
    if not reasons:
        logger.info("all %s images can be read", f"{len(names):,}")
        return index
    for reason in reasons.values():
        logger.warning("left out: %s", reason)
    bad = index.frame["file_name"].isin(list(reasons))
    by_split = count_splits(index.frame.loc[bad, "split"].tolist())
    logger.warning(
        "left out: %d of %s images, which cannot be read (%s)",
        len(reasons),
        f"{len(names):,}",
        ", ".join(f"{split} {count}" for split, count in by_split.items()),
    )
    frame = index.frame[~np.asarray(bad)].reset_index(drop=True)
    kept = DatasetIndex(frame, index.category_ids, index.category_names)
    check_splits(kept, "fetch the damaged images again, or use the complete dataset")
    return kept


def find_unreadable(images: ImageSource, names: Sequence[str], workers: int) -> dict[str, str]:
    """The names of the images that cannot be decoded, in order, each with the reason in one line.

    Args:
        images: Where they lie.
        names: Names under ``images/``.
        workers: Threads that decode; 0 decodes in this one.
    """
    lock = threading.Lock()

    def reason(name: str) -> str:
        try:
            # zipfile's handles are not safe to share between threads before Python 3.13.
            with lock:
                data = images.read(name)
            decode_rgb(data, name)
        except DataError as error:
            return str(error).splitlines()[0]
        return ""

    if workers == 0:
        return {name: found for name in names if (found := reason(name))}
    bad: dict[str, str] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="decoder") as pool:
        for start in range(0, len(names), _CHUNK):
            chunk = names[start : start + _CHUNK]
            bad |= {
                n: found for n, found in zip(chunk, pool.map(reason, chunk), strict=True) if found
            }
    return bad
