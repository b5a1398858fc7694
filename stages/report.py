"""Write the report: one page with the figures, the plots and a gallery of queries."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.datasets.layout import source_root
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.evaluation.store import read_evaluation
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.reporting.page import write_report


def main(
    params: Params,
    source: Path,
    index: Path,
    evaluation: Path,
    metrics: Path,
    plots: Path,
    out: Path,
) -> None:
    """Write the page."""
    name = params.dataset.name
    root = source_root(name, source, params.runtime.coco_root)
    write_report(
        out,
        title=f"Multi-label tags and retrieval on {name}",
        baselines=read_json(metrics / "baselines.json"),
        overview=plots / "overview.png",
        dataset=read_index(index),
        evaluation=read_evaluation(evaluation),
        images=open_image_source(root) if params.report.embed_images else None,
        queries=params.report.queries,
        top_n=params.knn.top_n_tags,
        errors=read_json(metrics / "errors.json"),
    )


if __name__ == "__main__":
    run_stage(main, "source", "index", "evaluation", "metrics", "plots", "out")
