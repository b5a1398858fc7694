"""Fit the head's variants and run them over every image."""

from pathlib import Path

from siglip2_multimodal_hash.baselines.store import leave_out_all, write_left_out
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.files import replacing
from siglip2_multimodal_hash.params import Params


def main(params: Params, index: Path, embeddings: Path, vote: Path, out: Path) -> None:
    """Write the codes of each variant into a folder of its name."""
    with replacing(out) as temporary:
        temporary.mkdir()
        if params.baselines.variants:
            fit_variants(params, index, embeddings, vote, temporary)
        else:
            leave_out_all(temporary, "baselines.variants is false")


def fit_variants(params: Params, index: Path, embeddings: Path, vote: Path, folder: Path) -> None:
    """Fit those that the features allow."""
    # PyTorch alone takes longer to load than everything else where there is nothing to fit.
    from siglip2_multimodal_hash.baselines.fitting import BaselineTask, fit_baselines
    from siglip2_multimodal_hash.baselines.variants import (
        common_head,
        left_out_variants,
        variant_configs,
    )
    from siglip2_multimodal_hash.features.store import load_embeddings
    from siglip2_multimodal_hash.retrieval.store import write_head_codes
    from siglip2_multimodal_hash.training.monitor import read_vote
    from siglip2_multimodal_hash.training.settings import FitSettings

    head = common_head(params, load_embeddings(embeddings))
    task = BaselineTask(
        index,
        embeddings,
        params.dataset.eval_caption,
        variant_configs(head),
        FitSettings.from_params(params, read_vote(vote)),
    )
    write_left_out(folder, left_out_variants(head))
    for codes in fit_baselines(task):
        write_head_codes(folder / codes.name, codes.soft, codes.scores, bits=codes.bits)


if __name__ == "__main__":
    run_stage(main, "index", "embeddings", "vote", "out")
