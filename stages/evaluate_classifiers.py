"""Classifiers without a code: zero-shot, and what is fitted on the embeddings as they are."""

from pathlib import Path

from siglip2_multimodal_hash.baselines.store import ClassifierResults, modality_of
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.params import Params


def main(params: Params, index: Path, embeddings: Path, out: Path) -> None:
    """Write the figures of each classifier, and its scores of test."""
    if params.baselines.classifiers:
        evaluate(params, index, embeddings).write(out)
    else:
        ClassifierResults().write(out)


def evaluate(params: Params, index: Path, embeddings: Path) -> ClassifierResults:
    """Fit those that learn, and evaluate all."""
    # Most experiments leave these out, and would spend their time here on loading PyTorch.
    from siglip2_multimodal_hash.baselines.classifiers import (
        evaluate_classifiers,
        evaluate_zero_shot,
        fit_classifiers,
    )
    from siglip2_multimodal_hash.baselines.fitting import BaselineTask
    from siglip2_multimodal_hash.baselines.variants import plain_mlp
    from siglip2_multimodal_hash.datasets.index import read_index
    from siglip2_multimodal_hash.evaluation.heads import SplitRows
    from siglip2_multimodal_hash.features.store import load_embeddings
    from siglip2_multimodal_hash.training.settings import FitSettings

    dataset, vectors = read_index(index), load_embeddings(embeddings)
    labels, rows, top_n = dataset.labels(), SplitRows.of(dataset), params.knn.top_n_tags
    task = BaselineTask(
        index,
        embeddings,
        params.dataset.eval_caption,
        {"mlp": plain_mlp(params, vectors)},
        FitSettings.of_classifier(params),
    )
    modality = modality_of(vectors.image.shape[1], vectors.caption.shape[1])
    results = evaluate_zero_shot(vectors.image, vectors.prompt, labels, rows, top_n_tags=top_n)
    return results | evaluate_classifiers(
        fit_classifiers(task), labels, rows, modality, top_n_tags=top_n
    )


if __name__ == "__main__":
    run_stage(main, "index", "embeddings", "out")
