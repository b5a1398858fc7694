"""Turn all figures into the metrics and plots that Git keeps, and into all their details."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.datasets.object_sizes import read_object_sizes
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.evaluation import code_quality, error_analysis
from siglip2_multimodal_hash.evaluation.store import read_evaluation
from siglip2_multimodal_hash.files import read_json, write_json
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.reporting import knn_grid
from siglip2_multimodal_hash.reporting.plots import write_plots
from siglip2_multimodal_hash.reporting.tables import detail_files, rounded, summary_metrics
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
    plots: Path,
    details: Path,
) -> None:
    """Write the headline figures, the plots' data, and every figure there is."""
    dataset, result = read_index(index), read_evaluation(evaluation)
    compared = read_json(classifiers / "figures.json") | read_json(variants) | read_json(untrained)
    fit, history = read_json(head / "config.json"), read_json(head / "history.json")
    tried = knn_grid.with_params(read_json(grid), params.knn, result.figures)
    sizes, policy = read_object_sizes(objects), params.dataset.eval_caption
    errors = error_analysis.errors_of_test(dataset, result, sizes, policy)
    code_quality.warn_of_degenerate("database", result.figures.get("codes"), fit["head"])
    headline = summary_metrics(result.figures, fit) | knn_grid.best_votes(tried)
    write_json(metrics / "summary.json", headline)
    files = detail_files(result.figures, compared, fit) | {"errors": rounded(errors)}
    files["knn_grid"] = knn_grid.vote_comparison(result.figures, tried)
    for name, figures in files.items():
        write_json(details / f"{name}.json", figures)
    write_plots(
        plots,
        dataset=dataset,
        statistics=read_json(statistics),
        codes=read_head_codes(codes),
        evaluation=result,
        history=history,
        errors=errors,
        baselines=files["baselines"],
    )
    knn_grid.write_grid(plots, tried)


if __name__ == "__main__":
    run_stage(main, *DATASET, "head", "codes", *COMPARED, "metrics", "plots", "details")
