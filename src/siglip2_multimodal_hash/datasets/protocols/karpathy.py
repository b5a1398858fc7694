"""Karpathy and Fei-Fei's split of COCO 2014: train, restval, val and test.

Source: ``dataset_coco.json`` in caption_datasets.zip (Karpathy and Fei-Fei, CVPR 2015). The 30,504
images of val2014 that are in neither val nor test are ``restval`` and belong to training:
113,287 / 5,000 / 5,000. The database is what trains.
"""

from pathlib import Path

from siglip2_multimodal_hash.datasets.split_file import SplitImage, read_split

KARPATHY_SPLITS = ("train", "restval", "val", "test")
FULL_KARPATHY = {"train": 82_783, "restval": 30_504, "val": 5_000, "test": 5_000}

_FETCH = (
    "fetch dataset_coco.json again: caption_datasets.zip, "
    "https://cs.stanford.edu/people/karpathy/deepimagesent/"
)


def read_karpathy_split(path: Path) -> tuple[SplitImage, ...]:
    """Read Karpathy's own file, or its normal form.

    Returns:
        The images in ascending cocoid.

    Raises:
        DataError: See :func:`.split_file.read_split`. ``restval`` may be empty: it only enlarges
            the training split.
    """
    return read_split(path, KARPATHY_SPLITS, _FETCH)
