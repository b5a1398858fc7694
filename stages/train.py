"""Fit the head on the cached embeddings."""

import logging
from pathlib import Path

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.evaluation.code_quality import code_quality, warn_of_degenerate
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.memory.limits import free_memory
from siglip2_multimodal_hash.memory.needs import require_head
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.progress import phase
from siglip2_multimodal_hash.retrieval.codes import binarize
from siglip2_multimodal_hash.training.inference import encode_dataset
from siglip2_multimodal_hash.training.loop import Checkpoints, fit
from siglip2_multimodal_hash.training.monitor import read_vote
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.splits import head_config, training_splits
from siglip2_multimodal_hash.training.trackers import Live


def main(params: Params, index: Path, embeddings: Path, vote: Path, out: Path, live: Path) -> None:
    """Write the checkpoints and the history of the fit; below ``live``, what trackers show."""
    with phase("reading the embeddings"):
        vectors = load_embeddings(embeddings)
        train, val = training_splits(read_index(index), vectors, params.dataset.eval_caption)
    config = head_config(params, vectors)
    require_head(config, free_memory(choose_device(params.runtime.device)))
    settings = FitSettings.from_params(params, read_vote(vote))
    followed = Live(live, lambda: params.model_dump(mode="json"))
    checkpoints = Checkpoints(out, params.checkpointing, followed)
    result = fit(config, train, val, settings, checkpoints)
    best = "closed form" if result.best_epoch == 0 else f"epoch {result.best_epoch}"
    logging.getLogger(__name__).info("best: %s, val mAP %.4f", best, result.val_map)
    if config.bits:
        batch = params.runtime.dataloader.inference_batch_size
        soft, _ = encode_dataset(result.network, val.v_img.numpy(), val.v_txt.numpy(), batch)
        warn_of_degenerate("val", code_quality(binarize(soft)), config.to_json())


if __name__ == "__main__":
    run_stage(main, "index", "embeddings", "vote", "out", "live")
