"""Time of the paired bootstrap of `smhash compare`.

    python benchmarks/compare_runs.py [--images 5000] [--draws 2000] [--seeds 1]

compares two made-up groups of so many runs each, on images with 80 classes of COCO's frequencies,
with all figures: mAP and CF1 of three predictors, and retrieval. The scores of `knn` tie as votes
do. The last line is JSON: ``seconds`` and ``draws_per_second``. Goal: 60 s for one run per group,
5,000 images and 2,000 draws on 2 cores.
"""

import argparse
import json
import time

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import run_guarded
from siglip2_multimodal_hash.evaluation.comparison import compare
from siglip2_multimodal_hash.evaluation.items import ItemResults, Items
from siglip2_multimodal_hash.params import PREDICTORS

CLASSES = 80
# With these a photo has some three labels, the most frequent class on half of them.
FREQUENT, FALL = 0.5, 0.9
VOTERS = 20


def a_run(seed: int, labels: npt.NDArray[np.uint8]) -> ItemResults:
    """Scores that know something of the labels."""
    generator = np.random.default_rng(seed)
    scores = {
        name: (0.3 * labels + 0.7 * generator.random(labels.shape)).astype(np.float32)
        for name in PREDICTORS
    }
    scores["knn"] = (np.round(scores["knn"] ** 3 * VOTERS) / VOTERS).astype(np.float32)
    items = Items(np.arange(len(labels)), labels, tuple(map(str, range(CLASSES))))
    thresholds = dict.fromkeys(PREDICTORS, 0.5)
    return ItemResults(items, scores, thresholds, generator.random(len(labels)))


def main() -> None:
    """Time one comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=1, help="runs per group")
    arguments = parser.parse_args()
    frequencies = FREQUENT * np.arange(1, CLASSES + 1) ** -FALL
    generator = np.random.default_rng(0)
    labels = (generator.random((arguments.images, CLASSES)) < frequencies).astype(np.uint8)
    a, b = ([a_run(2 * seed + one, labels) for seed in range(arguments.seeds)] for one in (1, 2))
    start = time.perf_counter()
    compare(a, b, draws=arguments.draws)
    seconds = time.perf_counter() - start
    print(f"{arguments.images:,} images, {labels.sum() / len(labels):.1f} labels each")
    found = {"seconds": seconds, "draws_per_second": arguments.draws / seconds}
    print(json.dumps({key: round(value, 2) for key, value in found.items()}))


if __name__ == "__main__":
    run_guarded(main)
