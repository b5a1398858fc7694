"""Time of the figures of tags and of the linear probe, beside scikit-learn's.

    env OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/scikit_learn.py

takes the embeddings of a finished `dvc repro` (`--index FILE --embeddings FOLDER`), fits the linear
probe on them, and computes figures from its scores of test. The two take turns in one process, and
seconds are of the CPU, so that other work on the machine counts little. The last line is JSON: by
what is computed ``own_seconds`` and ``scikit_learn_seconds``, medians over the `--repeats`, their
``ratio``, and the ``largest_difference`` of the results; for the probe that is of the scores.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# The project first: it pins the CPU kernels before a numerical library is loaded.
from siglip2_multimodal_hash.arrays import Labels, Scores
from siglip2_multimodal_hash.baselines.logistic import STRENGTHS, fit_logistic_regression
from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.errors import run_guarded
from siglip2_multimodal_hash.evaluation.average_precision import (
    average_precisions,
    mean_average_precision,
)
from siglip2_multimodal_hash.evaluation.classification import label_ranking_figures
from siglip2_multimodal_hash.evaluation.decisions import at_threshold, subset_figures
from siglip2_multimodal_hash.evaluation.weighted_precision import WeightedPrecision
from siglip2_multimodal_hash.features.store import load_embeddings

# isort: split
import numpy as np
import numpy.typing as npt
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DRAWS = 20
THRESHOLD = 0.3

Way = Callable[[], npt.NDArray[Any]]


def probes(
    vectors: Scores, labels: Labels, train: npt.NDArray[np.int64], val: npt.NDArray[np.int64]
) -> tuple[Way, Way]:
    """Both linear probes, lambda chosen on val: their scores of all N images.

    Args:
        vectors: float32 [N, D].
        labels: uint8 [N, C].
        train: Rows.
        val: Rows.
    """

    def own() -> Scores:
        parts = (vectors[train], labels[train], vectors[val], labels[val])
        return fit_logistic_regression(*parts).scores(vectors)

    def theirs() -> Scores:
        best, scores = -1.0, np.empty(0, np.float32)
        for strength in STRENGTHS:
            model = LogisticRegression(C=1 / (strength * len(train)), tol=1e-5, max_iter=1000)
            probe = make_pipeline(StandardScaler(), OneVsRestClassifier(model))
            found = probe.fit(vectors[train], labels[train]).predict_proba(vectors)
            value = mean_average_precision(found[val].astype(np.float32), labels[val]).value
            if value <= best:
                break
            best, scores = value, found.astype(np.float32)
        return scores

    return own, theirs


def figures(scores: Scores, labels: Labels) -> dict[str, tuple[Way, Way]]:
    """The project's figures and scikit-learn's, of scores [N, C] whose classes have positives."""
    draws = np.random.default_rng(0).integers(0, len(scores), (DRAWS, len(scores)))
    weights = [np.bincount(draw, minlength=len(scores)) for draw in draws]

    def bootstrap() -> npt.NDArray[Any]:
        precision = WeightedPrecision(scores, labels)
        return np.nan_to_num([precision(weight) for weight in weights])

    def ranking() -> npt.NDArray[Any]:
        return np.array(list(label_ranking_figures(scores, labels).values()))

    def decisions() -> npt.NDArray[Any]:
        found = at_threshold(scores, labels, THRESHOLD).figures()
        found |= subset_figures(scores, labels, THRESHOLD)
        names = ("CP", "CR", "f1_macro", "OP", "OR", "f1_micro", "hamming_loss", "subset_accuracy")
        return np.array([found[name] for name in names])

    def plain_decisions() -> npt.NDArray[Any]:
        decided = (scores >= THRESHOLD).astype(np.uint8)
        means = (
            metrics.precision_recall_fscore_support(labels, decided, average=how, zero_division=0)
            for how in ("macro", "micro")
        )
        losses = metrics.hamming_loss(labels, decided), metrics.accuracy_score(labels, decided)
        return np.array([*(value for mean in means for value in mean[:3]), *losses])

    return {
        "average precision": (
            lambda: average_precisions(scores, labels),
            lambda: metrics.average_precision_score(labels, scores, average=None),
        ),
        f"average precision of {DRAWS} bootstrap draws": (
            bootstrap,
            lambda: np.stack(
                [
                    metrics.average_precision_score(labels, scores, average=None, sample_weight=w)
                    for w in weights
                ]
            ),
        ),
        "order of labels": (
            ranking,
            lambda: np.array(
                [
                    metrics.label_ranking_average_precision_score(labels, scores),
                    metrics.coverage_error(labels, scores),
                    metrics.label_ranking_loss(labels, scores),
                ]
            ),
        ),
        "decisions at a threshold": (decisions, plain_decisions),
    }


def timed(own: Way, theirs: Way, repeats: int) -> dict[str, float]:
    """Run the two in turns; see the module's docstring."""
    seconds: dict[Way, list[float]] = {own: [], theirs: []}
    results: dict[Way, npt.NDArray[Any]] = {}
    for _ in range(repeats):
        for way, taken in seconds.items():
            started = time.process_time()
            results[way] = way()
            taken.append(time.process_time() - started)
    ours, others = (median(taken) for taken in seconds.values())
    return {
        "own_seconds": round(ours, 5),
        "scikit_learn_seconds": round(others, 5),
        "ratio": round(others / ours, 1),
        "largest_difference": float(np.abs(results[own] - results[theirs]).max()),
    }


def compare(index: Path, embeddings: Path, repeats: int) -> dict[str, Any]:
    """Time every pair, and print each as it is done."""
    dataset, stored = read_index(index), load_embeddings(embeddings)
    joined = np.concatenate([stored.image, stored.captions_by_policy("first")], axis=1)
    labels, test = dataset.labels(), dataset.rows("test")
    probe = probes(joined, labels, dataset.rows("train"), dataset.rows("val"))
    scores = probe[0]()
    cells = np.ix_(test, labels[test].any(axis=0))
    result = {}
    for name, pair in (figures(scores[cells], labels[cells]) | {"linear probe": probe}).items():
        result[name] = timed(*pair, repeats)
        print(f"{name}: {json.dumps(result[name])}", flush=True)
    return result


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path, default=Path("data/mojicoco/index.parquet"))
    parser.add_argument(
        "--embeddings", type=Path, default=Path("outputs/mojicoco/siglip2-tiny/embeddings")
    )
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(json.dumps(compare(arguments.index, arguments.embeddings, arguments.repeats)))


if __name__ == "__main__":
    run_guarded(main)
