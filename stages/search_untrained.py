"""Bounds of the codes, as far as the vote does not matter: the codes, neighbours, retrieval."""

from pathlib import Path

from siglip2_multimodal_hash.baselines.store import FIGURES, modality_of
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.files import read_json, replacing, write_json
from siglip2_multimodal_hash.params import Params


def main(params: Params, index: Path, embeddings: Path, kept: Path, out: Path) -> None:
    """Write them for the float vectors and each kind of code, or that there are none."""
    if params.baselines.untrained:
        search(params, index, embeddings, kept, out)
    else:
        with replacing(out) as temporary:
            temporary.mkdir()
            write_json(temporary / FIGURES, {})


def search(params: Params, index: Path, embeddings: Path, kept: Path, out: Path) -> None:
    """Fit, encode, search and rank."""
    # Most experiments leave these out, and would spend their time here on loading pandas and faiss.
    from siglip2_multimodal_hash.baselines.untrained import float_embedding, search_untrained
    from siglip2_multimodal_hash.datasets.index import read_index
    from siglip2_multimodal_hash.evaluation.heads import SplitRows
    from siglip2_multimodal_hash.features.store import load_embeddings

    dataset, vectors = read_index(index), load_embeddings(embeddings)
    captions = vectors.captions_by_policy(params.dataset.eval_caption)
    search_untrained(
        out,
        float_embedding(vectors.image, captions),
        dataset.labels(),
        SplitRows.of(dataset),
        bits=params.hash.bits,
        seed=params.seed,
        K=read_json(kept),
        modality=modality_of(vectors.image.shape[1], captions.shape[1]),
    )


if __name__ == "__main__":
    run_stage(main, "index", "embeddings", "kept", "out")
