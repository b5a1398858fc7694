"""The method on real features of COCO photos and captions, beside codes without training.

    python benchmarks/real_pairs.py --features FOLDER --annotations FOLDER [--data pairs]
        [--folds 5] [--seeds 0,1,2] [--train N] [--row NAME:KEY=VALUE,...]

``--data`` is one of

* ``pairs``: photos with all their captions, cross-validated: test is a fold, val part of the rest;
* ``captions``: first captions alone: restval to train on (val is a part of it), Karpathy's val to
  test on;
* ``views``: the same, with the mean of an image's other captions in the place of its photo;
* ``tfidf``: captions of restval, and Karpathy's val and test, embedded here: no ``--features``.

Train is the database, too. Rows are the head of params.yaml and heads that differ from it in the
keys named, each with the changes that the widths of the features need; then the float vectors,
untrained codes of the same bits, and the linear probe. Val chooses the epoch, the votes of "best
vote" and "hybrid", and the probe's strength. A run is a seed and a fold; the seed deals out the
images, so that each has folds of its own, and starts the fit.

FOLDER of the annotations holds ``labels80_trainval2014.npz`` and ``karpathy/`` (for ``tfidf`` also
``captions_val2014.json.gz``), that of the features ``photo_ids``, ``photo_features``,
``photo_caption_ids``, ``photo_caption_features``, ``caption_ids``, ``caption_first`` and
``caption_others_mean`` as ``.npy``.

Prints a table of test, mean ± standard deviation over the runs in percent, under each row the mean
difference from the first row with its 95% interval (paired bootstrap over the runs: of few it is
too narrow). The last line is JSON with the figures of val and test of every run.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# The project first: it pins the CPU kernels before a numerical library is loaded.
from benchmarks.real_data import READERS, RealData
from siglip2_multimodal_hash.baselines.exhaustive_search import search_product_codes
from siglip2_multimodal_hash.baselines.logistic import fit_logistic_regression
from siglip2_multimodal_hash.baselines.product_codes import CENTROIDS, fit_product_codes
from siglip2_multimodal_hash.baselines.untrained import float_embedding, sample_of, untrained_codes
from siglip2_multimodal_hash.document import Table, as_text
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.evaluation.heads import QUERY_SPLITS, SplitRows, evaluate_head
from siglip2_multimodal_hash.evaluation.knn_grid import evaluate_grid
from siglip2_multimodal_hash.evaluation.significance import mean_difference
from siglip2_multimodal_hash.params import PARAMS_FILE, Params, parse_params, settings_for_widths
from siglip2_multimodal_hash.presets import override_text, parse_assignment
from siglip2_multimodal_hash.progress import phase, show
from siglip2_multimodal_hash.retrieval.codes import binarize, unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.retrieval.voting import vote_scores
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.inference import encode_dataset
from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.splits import head_config

# isort: split
import numpy as np
import numpy.typing as npt
import torch
from ruamel.yaml import YAML

FIRST_ROW = "params.yaml"
COLUMNS = {
    "knn": "KNN",
    "best_vote": "best vote",
    "mlp": "classifier",
    "hybrid": "hybrid",
    "retrieval": "retrieval",
}
"""Figures, all of them mAP, and their names in the table."""
UNTRAINED = {"float": "float KNN", "lsh": "LSH", "pca_sign": "PCA-sign", "itq": "ITQ", "pq": "PQ"}
"""Rows of untrained codes, and their names in the table."""
PROBE = "linear probe"
VAL_IMAGES = {"pairs": 160, "captions": 2000, "views": 2000, "tfidf": 0}
BATCH = 2048
WIDTH = 140  # of the table: all columns, and names of some length

Run = dict[str, dict[str, float]]
"""Figures of a row in one run, by split."""
Runs = dict[str, list[Run]]
"""The runs of each row."""


def with_values(values: Mapping[str, Any]) -> Params:
    """The parameters of params.yaml, some of them changed."""
    changes = {"runtime.logging.progress": False, **values}
    text = override_text(PARAMS_FILE.read_text(encoding="utf-8"), changes, source=str(PARAMS_FILE))
    return parse_params(YAML(typ="safe", pure=True).load(text))


def params_of_row(values: Mapping[str, Any], data: RealData) -> Params:
    """:func:`with_values`, and the changes that the widths of the features need."""
    params = with_values(values)
    widths = data.embeddings.image.shape[1], data.embeddings.caption.shape[1]
    needed = settings_for_widths(params.fusion, params.loss.cosine_weight, *widths)
    return with_values(needed | dict(values)) if needed else params


def compare(
    data: RealData, heads: Mapping[str, Params], splits: Mapping[int, Sequence[SplitRows]]
) -> Runs:
    """The runs of every head, of the untrained codes and of the linear probe.

    Args:
        data: Features and labels.
        heads: By name the parameters of a head; the untrained codes follow the first.
        splits: Those of each seed.
    """
    first = next(iter(heads.values()))
    found: Runs = {}
    runs = [(seed, rows) for seed, folds in splits.items() for rows in folds]
    with phase("rows", len(runs) * (len(heads) + 1), "row") as progress:
        for seed, rows in runs:
            for name, params in heads.items():
                progress.note = name
                codes = fit_head(data, rows, params.model_copy(update={"seed": seed}))
                found.setdefault(name, []).append(figures(codes, data, rows, params))
                progress.update()
            progress.note = "untrained"
            beside = untrained(data, rows, first.model_copy(update={"seed": seed}))
            for name, run in beside.items():
                found.setdefault(name, []).append(run)
            progress.update()
    return found


def fit_head(data: RealData, rows: SplitRows, params: Params) -> HeadCodes:
    """Fit a head on train, choose its epoch on val, and run it over every image."""
    vectors = data.embeddings
    texts = vectors.captions_by_policy(params.dataset.eval_caption)
    train = TrainingData.select(
        rows.train,
        image=vectors.image,
        caption=vectors.caption,
        caption_offsets=vectors.caption_offsets,
        labels=data.labels,
    )
    val = ValidationData.select(rows.val, image=vectors.image, caption=texts, labels=data.labels)
    config = head_config(params, vectors)
    network = fit(
        config, train, val, FitSettings.from_params(params, params.monitored_vote)
    ).network
    soft, scores = encode_dataset(network, vectors.image, texts, BATCH)
    return HeadCodes(soft, binarize(soft) if config.bits else None, scores)


def figures(codes: HeadCodes, data: RealData, rows: SplitRows, params: Params) -> Run:
    """Figures of a head's codes, or of codes without a classifier."""
    knn = params.knn
    if codes.packed is None:
        knn = knn.model_copy(update={"distance": "cosine"})
    index = build_index(codes.searchable()[rows.database])
    found = evaluate_head(codes, index, data.labels, rows, knn).figures
    best = evaluate_grid(
        codes,
        index,
        data.labels,
        rows,
        params.knn_grid,
        shortlist=knn.shortlist,
        threshold=knn.threshold,
        top_n_tags=knn.top_n_tags,
    ).best
    parts = {"knn": found["knn"], "best_vote": best["knn"][1], "mlp": found.get("mlp")}
    parts["hybrid"] = best["hybrid"][1] if "hybrid" in best else None
    return {
        split: {name: part[split]["mAP"] for name, part in parts.items() if part}
        | {"retrieval": found["retrieval"][split]["mAP@all"]}
        for split in QUERY_SPLITS
    }


def untrained(data: RealData, rows: SplitRows, params: Params) -> dict[str, Run]:
    """Figures of the float vectors, of codes of them, and of the linear probe."""
    images = data.embeddings.image
    texts = data.embeddings.captions_by_policy(params.dataset.eval_caption)
    vectors, labels = float_embedding(images, texts), data.labels
    bits, seed = params.hash.bits, params.seed
    codes = untrained_codes(vectors, rows.train, bits=bits, seed=seed)
    found = {UNTRAINED[name]: figures(one, data, rows, params) for name, one in codes.items()}
    if bits and len(rows.train) >= CENTROIDS:
        found[UNTRAINED["pq"]] = product_codes(vectors, labels, rows, params)
    joined = np.concatenate([images, texts], axis=1)
    probe = fit_logistic_regression(
        joined[rows.train], labels[rows.train], joined[rows.val], labels[rows.val]
    )
    found[PROBE] = {
        split: {
            "mlp": mean_average_precision(
                probe.scores(joined[rows.queries(split)]), labels[rows.queries(split)]
            ).value
        }
        for split in QUERY_SPLITS
    }
    return found


def product_codes(
    vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], rows: SplitRows, params: Params
) -> Run:
    """Figures of PQ; of retrieval those of test alone."""
    units, knn = unit_vectors(vectors), params.knn
    fitted = fit_product_codes(
        units[sample_of(rows.train, params.seed)], params.hash.bits, params.seed
    )
    found = search_product_codes(fitted, units, labels, rows, knn.K)
    figures: Run = {}
    for split, neighbours in found.neighbours.items():
        database = labels[rows.database_of(split)]
        scores = vote_scores(neighbours, database, knn.vote, tau=knn.tau, threshold=knn.threshold)
        voted = mean_average_precision(scores, labels[rows.queries(split)]).value
        figures[split] = {"knn": voted}
    figures["test"]["retrieval"] = found.retrieval["test"]["mAP@all"]
    return figures


def values_of(runs: Runs, row: str, name: str, split: str = "test") -> list[float]:
    """One figure of a row by run; empty where the row does not have it."""
    return [run[split][name] for run in runs[row] if name in run[split]]


def differences(runs: Runs) -> dict[str, dict[str, tuple[float, float, float]]]:
    """By row and figure the mean difference from the first row on test, and its 95% interval."""
    first = next(iter(runs))
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for row in runs:
        for name in COLUMNS:
            ours, theirs = (np.array(values_of(runs, one, name)) for one in (row, first))
            if row != first and len(ours) == len(theirs) > 0:
                gap = mean_difference(ours, theirs, seed=0)
                found.setdefault(row, {})[name] = (gap.value, gap.low, gap.high)
    return found


def table(runs: Runs) -> str:
    """Figures of test in percent, and under each row its differences."""
    gaps = differences(runs)
    lines = []
    for row in runs:
        values = [values_of(runs, row, name) for name in COLUMNS]
        lines.append([row, *(_mean(one) if one else "" for one in values)])
        if len(runs[row]) > 1 and row in gaps:
            cells = [gaps[row].get(name) for name in COLUMNS]
            lines.append(["", *(_difference(*one) if one else "" for one in cells)])
    return as_text([Table(["", *COLUMNS.values()], lines)], width=WIDTH).rstrip("\n")


def _mean(values: Sequence[float]) -> str:
    spread = f" ± {np.std(values, ddof=1) * 100:.1f}" if len(values) > 1 else ""
    return f"{np.mean(values) * 100:.1f}{spread}"


def _difference(value: float, low: float, high: float) -> str:
    return f"{value * 100:+.1f} [{low * 100:+.1f}, {high * 100:+.1f}]"


def parse_row(text: str) -> tuple[str, dict[str, Any]]:
    """``NAME:KEY=VALUE,...``; a value may be a YAML list, whose commas no key follows.

    Raises:
        InputError: Another row has this name.
        ParamsError: An assignment has no ``=``, or its value is not YAML.
    """
    name, _, assignments = text.partition(":")
    if name in (FIRST_ROW, *UNTRAINED.values(), PROBE):
        raise InputError(f"--row {name}: this name is taken")
    return name, dict(parse_assignment(one) for one in re.split(r",(?=[\w.]+=)", assignments))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, metavar="FOLDER", help="not for tfidf")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--data", choices=READERS, default="pairs")
    parser.add_argument("--folds", type=int, default=5, help="of pairs; the others are not folded")
    parser.add_argument("--seeds", default="0", help="such as 0,1,2")
    parser.add_argument("--train", type=int, metavar="N", help="train on N images; default: all")
    parser.add_argument(
        "--val", type=int, metavar="N", help="images held out for val; default: 160 or 2,000"
    )
    parser.add_argument(
        "--row", action="append", default=[], metavar="NAME:KEY=VALUE,...", help="one more head"
    )
    arguments = parser.parse_args()
    if arguments.features is None and arguments.data != "tfidf":
        raise InputError(f"--data {arguments.data}: needs --features FOLDER")
    torch.set_num_threads(1)
    show()
    data = READERS[arguments.data](arguments.features, arguments.annotations)
    rows = {FIRST_ROW: {}, **dict(parse_row(text) for text in arguments.row)}
    heads = {name: params_of_row(values, data) for name, values in rows.items()}
    val = VAL_IMAGES[arguments.data] if arguments.val is None else arguments.val
    splits = {
        seed: data.splits(folds=arguments.folds, val=val, train=arguments.train, seed=seed)
        for seed in map(int, arguments.seeds.split(","))
    }
    runs = compare(data, heads, splits)
    print(table(runs))
    sizes = [
        {"train": len(one.train), "val": len(one.val), "test": len(one.test)}
        for folds in splits.values()
        for one in folds
    ]
    settings = {"data": arguments.data, "seeds": list(splits), "sizes": sizes}
    print(json.dumps({**settings, "runs": runs, "differences": differences(runs)}))


if __name__ == "__main__":
    run_guarded(main)
