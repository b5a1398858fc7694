"""Cost of a missing caption in `smhash predict`.

    python benchmarks/missing_caption.py

reads the finished run of params.yaml and tags the photos of val twice: with their own captions, as
`evaluate_knn` does, and with what stands in for a missing one (`prediction/database.py`). The last
line is JSON: mAP in percent of ``knn``, ``mlp`` and ``hybrid``, ``own`` and ``stand_in``.
"""

import argparse
import json
from pathlib import Path

from siglip2_multimodal_hash.errors import run_guarded
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.params import PREDICTORS, load_params
from siglip2_multimodal_hash.prediction.database import load_database
from siglip2_multimodal_hash.prediction.encoder import load_fitted_head
from siglip2_multimodal_hash.prediction.outputs import RunOutputs
from siglip2_multimodal_hash.retrieval.index_kinds import kind_of
from siglip2_multimodal_hash.training.inference import encode_dataset

BATCH = 512


def tag_both_ways() -> dict[str, dict[str, float]]:
    """MAP of val in percent, by where the captions come from and by predictor."""
    params = load_params()
    dataset, backbone = params.dataset.name, params.backbone.name
    outputs = RunOutputs.of(Path("data", dataset), Path("outputs", dataset, backbone))
    policy = params.dataset.eval_caption
    database = load_database(outputs, kind_of(params.index))
    embeddings = database.embeddings
    network = load_fitted_head(outputs, embeddings, policy)
    val = database.dataset.rows("val")
    labels = database.dataset.labels()[val]
    v_img = embeddings.image[val]
    captions = {
        "own": embeddings.captions_by_policy(policy)[val],
        "stand_in": database.stand_in_captions(v_img),
    }
    found: dict[str, dict[str, float]] = {}
    for source, v_txt in captions.items():
        soft, classified = encode_dataset(network, v_img, v_txt, BATCH)
        scores = database.vote(soft, classified, params.knn).scores
        found[source] = {
            name: 100 * mean_average_precision(scores[name], labels).value for name in PREDICTORS
        }
    return found


def main() -> None:
    """Print the figures."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "").parse_args()
    found = tag_both_ways()
    rounded = {
        source: {name: round(value, 1) for name, value in figures.items()}
        for source, figures in found.items()
    }
    print(json.dumps(rounded))


if __name__ == "__main__":
    run_guarded(main)
