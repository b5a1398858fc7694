"""Classifiers without a code: zero-shot, and what is fitted on the embeddings as they are."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.evaluation.classifiers import evaluate_classifier, zero_shot_row
from siglip2_multimodal_hash.evaluation.heads import SplitRows
from siglip2_multimodal_hash.evaluation.modality import modality_of, named
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.training.baselines import BaselineTask
from siglip2_multimodal_hash.training.classifiers import fit_classifiers
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.variants import plain_mlp


def main(params: Params, index: Path, embeddings: Path, out: Path) -> None:
    """Write the figures of each classifier."""
    if not params.baselines.classifiers:
        write_json(out, {})
        return
    dataset, vectors = read_index(index), load_embeddings(embeddings)
    labels, rows, top_n = dataset.labels(), SplitRows.of(dataset), params.knn.top_n_tags
    task = BaselineTask(
        index,
        embeddings,
        params.dataset.eval_caption,
        {"mlp": plain_mlp(params, vectors)},
        FitSettings.of_classifier(params),
    )
    fitted = {
        name: evaluate_classifier(scores, labels, rows, top_n_tags=top_n)
        for name, scores in fit_classifiers(task).items()
    }
    figures = {
        **zero_shot_row(vectors.image, vectors.prompt, labels, rows, top_n_tags=top_n),
        **named(fitted, modality_of(vectors.image.shape[1], vectors.caption.shape[1])),
    }
    write_json(out, figures)


if __name__ == "__main__":
    run_stage(main, "index", "embeddings", "out")
