"""Fit one of the baseline heads and run it over every image."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.retrieval.store import write_head_codes
from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.splits import (
    encode_embeddings,
    head_config,
    training_splits,
)
from siglip2_multimodal_hash.training.variants import variant_config


def main(params: Params, index: Path, embeddings: Path, out: Path) -> None:
    """Write the codes of the baseline that the output folder is named after."""
    vectors = load_embeddings(embeddings)
    train, val = training_splits(read_index(index), vectors, params.dataset.eval_caption)
    config = variant_config(
        out.name,
        head_config(vectors, params.decomposer, params.fusion, params.hash, params.classifier),
    )
    result = fit(config, train, val, FitSettings.from_params(params))
    soft, scores = encode_embeddings(
        result.network,
        vectors,
        params.dataset.eval_caption,
        params.runtime.dataloader.inference_batch_size,
    )
    write_head_codes(out, soft, scores, bits=config.bits)


if __name__ == "__main__":
    run_stage(main, "index", "embeddings", "out")
