"""Bounds of the codes: KNN on the float vectors, and on codes that nothing was trained for."""

from pathlib import Path

from siglip2_multimodal_hash.baselines.store import modality_of, named
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.params import Params


def main(params: Params, index: Path, embeddings: Path, out: Path) -> None:
    """Write the figures of the float vectors and of each kind of code."""
    if params.baselines.untrained:
        evaluate(params, index, embeddings, out)
    else:
        write_json(out, {})


def evaluate(params: Params, index: Path, embeddings: Path, out: Path) -> None:
    """Search and vote with each."""
    # Most experiments leave these out, and would spend their time here on loading pandas and faiss.
    from siglip2_multimodal_hash.baselines.untrained import (
        evaluate_untrained,
        float_embedding,
        vote_of_codes,
    )
    from siglip2_multimodal_hash.datasets.index import read_index
    from siglip2_multimodal_hash.evaluation.heads import SplitRows
    from siglip2_multimodal_hash.features.store import load_embeddings

    dataset, vectors = read_index(index), load_embeddings(embeddings)
    captions = vectors.captions_by_policy(params.dataset.eval_caption)
    figures = evaluate_untrained(
        float_embedding(vectors.image, captions),
        dataset.labels(),
        SplitRows.of(dataset),
        vote_of_codes(params),
        bits=params.hash.bits,
        seed=params.seed,
    )
    write_json(out, named(figures, modality_of(vectors.image.shape[1], captions.shape[1])))


if __name__ == "__main__":
    run_stage(main, "index", "embeddings", "out")
