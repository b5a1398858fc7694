"""Run the fitted head over every image: soft codes, packed codes, scores."""

from pathlib import Path

from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.retrieval.store import write_head_codes
from siglip2_multimodal_hash.training.checkpoint import load_head
from siglip2_multimodal_hash.training.splits import encode_embeddings


def main(params: Params, embeddings: Path, head: Path, out: Path) -> None:
    """Write the codes of the epoch with the best val mAP."""
    network, config = load_head(head)
    soft, scores = encode_embeddings(
        network.to(choose_device(params.runtime.device)),
        load_embeddings(embeddings),
        params.dataset.eval_caption,
        params.runtime.dataloader.inference_batch_size,
    )
    write_head_codes(out, soft, scores, bits=config.bits)


if __name__ == "__main__":
    run_stage(main, "embeddings", "head", "out")
