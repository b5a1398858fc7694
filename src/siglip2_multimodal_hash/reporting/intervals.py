"""Intervals of single figures: what other test images would change, not what other seeds would."""

import numpy as np

from siglip2_multimodal_hash.arrays import Floats
from siglip2_multimodal_hash.evaluation.comparison import figures_of
from siglip2_multimodal_hash.evaluation.items import ItemResults
from siglip2_multimodal_hash.evaluation.significance import DRAWS, Difference, Weights, bootstrap


def headline_intervals(run: ItemResults, draws: int = DRAWS) -> dict[str, Difference]:
    """Each mAP with its 95% interval: percentile bootstrap over the images of test.

    Args:
        run: Results of each image.
        draws: Their number; each takes as many images as there are, with replacement.

    Returns:
        By ``knn``, ``mlp``, ``hybrid`` and ``retrieval``, as far as they are defined.
    """
    all_images = np.ones(len(run.items.labels), dtype=np.int64)
    figures = {
        name: figure
        for name, figure in figures_of(run, ("mAP", "retrieval")).items()
        if not np.isnan(figure(all_images))
    }

    def statistic(weights: Weights) -> Floats:
        return np.array([figure(weights) for figure in figures.values()])

    found = bootstrap(statistic, len(all_images), seed=0, draws=draws)
    # "knn mAP" is knn's, "retrieval mAP@all" that of retrieval.
    return dict(zip((name.partition(" ")[0] for name in figures), found, strict=True))
