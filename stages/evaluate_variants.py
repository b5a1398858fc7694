"""Figures of the head's variants, by the same search and vote as the head's own."""

from pathlib import Path

from siglip2_multimodal_hash.baselines.store import all_left_out
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.params import Params


def main(params: Params, index: Path, variants: Path, out: Path) -> None:
    """Write the figures of every variant."""
    if all_left_out(variants):
        write_json(out, {})
    else:
        evaluate(params, index, variants, out)


def evaluate(params: Params, index: Path, variants: Path, out: Path) -> None:
    """Search and vote with the codes of each."""
    # Most experiments leave these out, and would spend their time here on loading pandas and faiss.
    from siglip2_multimodal_hash.baselines.variants import evaluate_variants
    from siglip2_multimodal_hash.datasets.index import read_index
    from siglip2_multimodal_hash.evaluation.heads import SplitRows

    dataset = read_index(index)
    figures = evaluate_variants(variants, dataset.labels(), SplitRows.of(dataset), params.knn)
    write_json(out, figures)


if __name__ == "__main__":
    run_stage(main, "index", "variants", "out")
