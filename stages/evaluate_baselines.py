"""Bounds and baselines: zero-shot, other heads, KNN on floats and on linear codes."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.evaluation.baselines import (
    evaluate_untrained,
    evaluate_variants,
    float_embedding,
    zero_shot_row,
)
from siglip2_multimodal_hash.evaluation.heads import SplitRows
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.params import Params


def main(params: Params, index: Path, embeddings: Path, variants: Path, out: Path) -> None:
    """Write the figures of every baseline."""
    dataset, vectors = read_index(index), load_embeddings(embeddings)
    labels, rows, top_n = dataset.labels(), SplitRows.of(dataset), params.knn.top_n_tags
    captions = vectors.captions_by_policy(params.dataset.eval_caption)
    figures = {
        **zero_shot_row(vectors.image, vectors.prompt, labels, rows, top_n_tags=top_n),
        **evaluate_variants(variants, labels, rows, params.knn),
        **evaluate_untrained(
            float_embedding(vectors.image, captions),
            labels,
            rows,
            params.knn,
            bits=params.hash.bits,
            seed=params.seed,
        ),
    }
    write_json(out, figures)


if __name__ == "__main__":
    run_stage(main, "index", "embeddings", "variants", "out")
