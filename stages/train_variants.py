"""Fit the head's variants and run them over every image."""

from pathlib import Path

from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.files import replacing
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.retrieval.left_out import write_left_out
from siglip2_multimodal_hash.retrieval.store import write_head_codes
from siglip2_multimodal_hash.training.baselines import BaselineTask, fit_baselines
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.variants import (
    common_head,
    left_out_variants,
    variant_configs,
)


def main(params: Params, index: Path, embeddings: Path, out: Path) -> None:
    """Write the codes of each variant into a folder of its name."""
    head, wanted = common_head(params, load_embeddings(embeddings)), params.baselines.variants
    task = BaselineTask(
        index,
        embeddings,
        params.dataset.eval_caption,
        variant_configs(head, wanted=wanted),
        FitSettings.from_params(params),
    )
    with replacing(out) as temporary:
        temporary.mkdir()
        write_left_out(temporary, left_out_variants(head, wanted=wanted))
        for codes in fit_baselines(task):
            write_head_codes(temporary / codes.name, codes.soft, codes.scores, bits=codes.bits)


if __name__ == "__main__":
    run_stage(main, "index", "embeddings", "out")
