"""The parts of benchmarks/evaluate.py, each run in a process of its own."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.hashnet_codes import CodeSet, Labels
from benchmarks.peak_memory import peak_gb
from benchmarks.plain_evaluation import (
    argsort_map,
    as_found,
    best_threshold,
    faissknn_scores,
    relevant_first,
    relevant_last,
    scikit_learn_figures,
)
from siglip2_multimodal_hash.arrays import save_array
from siglip2_multimodal_hash.evaluation.protocol import evaluate_predictions
from siglip2_multimodal_hash.evaluation.ranking import evaluate_codes
from siglip2_multimodal_hash.kernels import THREADS
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.search import search_hamming
from siglip2_multimodal_hash.retrieval.voting import vote_scores

BITS = 64
K = 20
CUTOFFS = {"all": None, "1000": 1000}
SHUFFLES = 3
SCORED = 5_000

Found = dict[str, Any]
Scores = npt.NDArray[np.float32]


def save_codes(folder: Path, codes: CodeSet) -> None:
    """Write what every part reads."""
    for name, array in codes._asdict().items():
        np.save(folder / f"{name}.npy", array)


def read_codes(folder: Path) -> CodeSet:
    """Read what :func:`save_codes` wrote."""
    return CodeSet(*(np.load(folder / f"{name}.npy") for name in CodeSet._fields))


def retrieval(folder: Path, _: int) -> Found:
    """Every figure of retrieval, for all queries."""
    codes = read_codes(folder)
    started = time.perf_counter()
    figures = evaluate_codes(*codes).figures()
    return _timed(started) | {"figures": figures}


def loop(folder: Path, queries: int) -> Found:
    """mAP@all by the argsort loop; then what it says in other orders of the database."""
    everything = read_codes(folder)
    codes = everything._replace(
        query_codes=everything.query_codes[:queries], query_labels=everything.query_labels[:queries]
    )
    started = time.perf_counter()
    argsort_map(codes)
    timed = _timed(started)
    generator = np.random.default_rng(0)
    orders = [generator.permutation(len(codes.database_codes)) for _ in range(SHUFFLES)]
    expected = evaluate_codes(*codes).per_query
    values: Found = {}
    for name, cutoff in CUTOFFS.items():
        shuffled = [
            codes._replace(
                database_codes=codes.database_codes[order],
                database_labels=codes.database_labels[order],
            )
            for order in orders
        ]
        found = {
            "loop": argsort_map(codes, cutoff, as_found),
            "loop_shuffled": [argsort_map(one, cutoff, as_found) for one in shuffled],
            "relevant_last": argsort_map(codes, cutoff, relevant_last),
            "relevant_first": argsort_map(codes, cutoff, relevant_first),
            # The loop counts a query without any relevant item as 0.
            "expected": expected[f"mAP@{name}"].sum() / len(codes.query_codes),
        }
        values[f"mAP@{name}"] = {key: np.round(value, 6).tolist() for key, value in found.items()}
    return timed | {"queries": len(codes.query_codes), "map": values}


def draw_scores(folder: Path) -> dict[str, tuple[Scores, Labels]]:
    """Scores and labels of val, as a sigmoid's, and of test, as shares of 20 votes: ties abound."""
    codes = read_codes(folder)
    labels = {"val": codes.database_labels[:SCORED], "test": codes.query_labels[:SCORED]}
    generator = np.random.default_rng(1)
    splits = {}
    for split, matrix in labels.items():
        noise = generator.random(matrix.shape, dtype=np.float32)
        scores = np.float32(0.4) * matrix + np.float32(0.6) * noise**3
        if split == "test":
            scores = np.round(scores * 20) / np.float32(20)
        splits[split] = (scores.astype(np.float32), matrix)
    return splits


def classification(folder: Path, _: int) -> Found:
    """Every figure of classification, for val and test: twice the work of one split."""
    splits = draw_scores(folder)
    started = time.perf_counter()
    found = evaluate_predictions(*splits["val"], *splits["test"], top_n_tags=5)
    timed = _timed(started)
    figures = {split: {**found[split], **found[split]["tuned_threshold"]} for split in splits}
    return timed | {"figures": figures | {"threshold": found["threshold"]["tuned"]}}


def scikit_learn(folder: Path, _: int) -> Found:
    """Those that scikit-learn defines, for val and test."""
    from sklearn import metrics  # noqa: F401  before the clock starts

    splits = draw_scores(folder)
    started = time.perf_counter()
    threshold = best_threshold(*splits["val"])
    figures = {split: scikit_learn_figures(*given, threshold) for split, given in splits.items()}
    return _timed(started) | {"figures": figures | {"threshold": threshold}}


def vote(folder: Path, _: int) -> Found:
    """Index, search and vote with equal weights by the project; leaves its scores in a file."""
    codes = read_codes(folder)
    started = time.perf_counter()
    index = build_index(codes.database_codes)
    neighbours = search_hamming(index, codes.query_codes, K)
    scores = vote_scores(neighbours, codes.database_labels, "uniform", tau=1.0, threshold=0.0)
    timed = _timed(started)
    similarities = search_hamming(index, codes.query_codes, K + 1).similarities
    save_array(folder / "vote.npy", scores)
    save_array(folder / "tied.npy", similarities[:, -1] == similarities[:, -2])
    return timed


def faissknn(folder: Path, _: int) -> Found:
    """The same by faissknn: its seconds, and the number of queries where it differs."""
    import faiss

    codes = read_codes(folder)
    nothing = {
        "seconds": None,
        "peak_gb": None,
        "tied": None,
        "unlike": None,
        "unlike_without_tie": None,
    }
    faiss.omp_set_num_threads(THREADS)
    try:
        import faissknn as package  # noqa: F401  before the clock starts
    except ImportError as error:
        return nothing | {"why_not": f"faissknn cannot be imported: {error}"}
    started = time.perf_counter()
    scores = faissknn_scores(codes, K)
    timed = _timed(started)
    # If the K-th and the next neighbour are equally far, either may vote.
    tied = np.load(folder / "tied.npy")
    unlike = np.abs(scores - np.load(folder / "vote.npy")).max(axis=1) > 1e-6
    return timed | {
        "tied": int(tied.sum()),
        "unlike": int(unlike.sum()),
        "unlike_without_tie": int((unlike & ~tied).sum()),
        "why_not": None,
    }


def scaling(folder: Path, _: int) -> Found:
    """Retrieval at a quarter and a half of the sizes; with other codes, one tie or few."""
    codes = read_codes(folder)
    queries, items = len(codes.query_codes), len(codes.database_codes)
    rows = []
    for parts in ((4, 4), (4, 2), (2, 4), (2, 2)):
        rows.append(_time_codes("clustered", _head(codes, queries // parts[0], items // parts[1])))
    half = _head(codes, queries // 2, items // 2)
    shape = (queries // 2 + items // 2, codes.query_codes.shape[1])
    uniform, equal = (
        half._replace(query_codes=drawn[: queries // 2], database_codes=drawn[queries // 2 :])
        for drawn in (
            np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8),
            np.zeros(shape, dtype=np.uint8),
        )
    )
    rows += [_time_codes("uniform", uniform), _time_codes("all equal", equal)]
    return {"rows": rows}


def _head(codes: CodeSet, queries: int, items: int) -> CodeSet:
    return CodeSet(
        codes.query_codes[:queries],
        codes.database_codes[:items],
        codes.query_labels[:queries],
        codes.database_labels[:items],
    )


def _time_codes(name: str, codes: CodeSet) -> Found:
    started = time.perf_counter()
    evaluate_codes(*codes)
    seconds = time.perf_counter() - started
    pairs = len(codes.query_codes) * len(codes.database_codes)
    return {
        "codes": name,
        "queries": len(codes.query_codes),
        "items": len(codes.database_codes),
        "seconds": round(seconds, 2),
        "nanoseconds_a_pair": round(seconds / pairs * 1e9, 1),
    }


def _timed(started: float) -> Found:
    """Seconds since ``started``, and the peak of this process."""
    seconds = time.perf_counter() - started
    return {"seconds": round(seconds, 3), "peak_gb": round(peak_gb(), 2)}


PARTS: dict[str, Callable[[Path, int], Found]] = {
    "retrieval": retrieval,
    "loop": loop,
    "classification": classification,
    "scikit_learn": scikit_learn,
    "vote": vote,
    "faissknn": faissknn,
    "scaling": scaling,
}
"""In this order: ``faissknn`` compares itself with what ``vote`` left."""
