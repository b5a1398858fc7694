"""Write the report: one page with the figures, the curves and a gallery of queries."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.datasets.layout import source_root
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.evaluation.items import read_item_results
from siglip2_multimodal_hash.evaluation.store import read_evaluation
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.reporting.intervals import headline_intervals
from siglip2_multimodal_hash.reporting.page import write_report
from siglip2_multimodal_hash.reporting.web.inputs import read_inputs
from siglip2_multimodal_hash.retrieval.store import read_head_codes


def main(
    params: Params,
    source: Path,
    index: Path,
    codes: Path,
    evaluation: Path,
    details: Path,
    plots: Path,
    out: Path,
) -> None:
    """Write the page."""
    root = source_root(params.dataset.kind, source, params.runtime)
    inputs = read_inputs(
        read_index(index),
        read_evaluation(evaluation),
        read_head_codes(codes),
        params,
        headline_intervals(read_item_results(lambda name: evaluation / name)),
        details=details,
        plots=plots,
    )
    embed, link = params.report.embed_images, params.report.link_images
    images = open_image_source(root, params.dataset.kind) if embed or link else None
    write_report(
        out,
        inputs,
        images=images if embed else None,
        locate=images.locate if images is not None and link else None,
        queries=params.report.queries,
    )


if __name__ == "__main__":
    run_stage(main, "source", "index", "codes", "evaluation", "details", "plots", "out")
