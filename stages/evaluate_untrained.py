"""Bounds of the codes: KNN on the float vectors, and on codes that nothing was trained for."""

from pathlib import Path

from siglip2_multimodal_hash.baselines.store import FIGURES
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.files import read_json, write_json
from siglip2_multimodal_hash.params import Params


def main(params: Params, index: Path, searched: Path, out: Path) -> None:
    """Write the figures of the float vectors and of each kind of code."""
    if read_json(searched / FIGURES):
        evaluate(params, index, searched, out)
    else:
        write_json(out, {})


def evaluate(params: Params, index: Path, searched: Path, out: Path) -> None:
    """Vote with each."""
    # Most experiments leave these out, and would spend their time here on loading pandas and faiss.
    from siglip2_multimodal_hash.baselines.untrained import evaluate_untrained, vote_of_codes
    from siglip2_multimodal_hash.datasets.index import read_index
    from siglip2_multimodal_hash.evaluation.heads import SplitRows

    dataset, knn = read_index(index), vote_of_codes(params)
    write_json(out, evaluate_untrained(searched, dataset.labels(), SplitRows.of(dataset), knn))


if __name__ == "__main__":
    run_stage(main, "index", "searched", "out")
