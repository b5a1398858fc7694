"""Turn all figures into the metrics and plots that Git keeps, and into all their details."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.datasets.object_sizes import read_object_sizes
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.evaluation import code_quality, error_analysis
from siglip2_multimodal_hash.evaluation.store import read_evaluation
from siglip2_multimodal_hash.files import read_json, write_json
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.reporting import knn_grid, tables
from siglip2_multimodal_hash.reporting.plots import write_plots
from siglip2_multimodal_hash.retrieval.store import read_head_codes

DATASET = ("index", "statistics", "objects")
COMPARED = ("evaluation", "grid", "classifiers", "variants", "untrained")


def main(
    params: Params,
    index: Path,
    statistics: Path,
    objects: Path,
    head: Path,
    codes: Path,
    evaluation: Path,
    grid: Path,
    classifiers: Path,
    variants: Path,
    untrained: Path,
    metrics: Path,
    figures: Path,
    plots: Path,
    details: Path,
) -> None:
    """Write the headline, the summary, the plots' data, and every figure there is."""
    dataset, result = read_index(index), read_evaluation(evaluation)
    compared = read_json(classifiers / "figures.json") | read_json(variants) | read_json(untrained)
    fit, sizes = read_json(head / "config.json"), read_object_sizes(objects)
    tried = knn_grid.with_params(read_json(grid), params.knn, result.figures)
    errors = error_analysis.errors_of_test(dataset, result, sizes, params.dataset.eval_caption)
    code_quality.warn_of_degenerate("database", result.figures.get("codes"), fit["head"])
    summary = tables.summary_figures(result.figures, fit) | knn_grid.best_votes(tried)
    write_json(figures, summary)
    write_json(metrics, tables.headline(summary))
    files = tables.detail_files(result.figures, compared, fit, errors)
    files["knn_grid"] = knn_grid.vote_comparison(result.figures, tried)
    for name, content in files.items():
        write_json(details / f"{name}.json", content)
    write_plots(
        plots,
        dataset=dataset,
        statistics=read_json(statistics),
        codes=read_head_codes(codes),
        evaluation=result,
        history=read_json(head / "history.json"),
        errors=errors,
        baselines=files["baselines"],
    )
    knn_grid.write_grid(plots, tried)


if __name__ == "__main__":
    run_stage(main, *DATASET, "head", "codes", *COMPARED, "metrics", "figures", "plots", "details")
