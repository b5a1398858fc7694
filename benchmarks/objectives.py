"""Figures of each hash objective on the embeddings of `dvc repro`: on val, and on test at the end.

    python benchmarks/objectives.py [--seeds 0 1 2] [--only NAME ...] [--test NAME ...]
                                    [--index FILE] [--embeddings FOLDER]

fits the head of params.yaml once per profile and seed, and prints the val mAP of the vote over its
codes (``knn``) and the mAP@all of its retrieval; beside them the vote by ``knn.distance:
asymmetric`` and ``whitened``, and ``knn_best``, the best vote of ``knn_grid`` on val that needs no
more than the bits of an item. ``--test`` names the profiles whose test figures are computed too:
choose on val first. For these, paired bootstrap intervals of retrieval against the untrained codes,
and against the plan's own profile where it is tested too, are printed. The last line is JSON with
every figure, and ``best``: the profile with the largest sum of val ``knn`` and ``retrieval``,
averaged over the seeds.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# The project first: it pins the CPU kernels before a numerical library is loaded.
from siglip2_multimodal_hash.baselines.untrained import float_embedding, untrained_codes
from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.evaluation.heads import SplitRows, predict
from siglip2_multimodal_hash.evaluation.knn_grid import evaluate_grid
from siglip2_multimodal_hash.evaluation.protocol import evaluate_retrieval
from siglip2_multimodal_hash.evaluation.significance import mean_difference
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.params import Params, load_params
from siglip2_multimodal_hash.retrieval.codes import binarize
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.splits import encode_embeddings, head_config, training_splits

# isort: split
import numpy as np
import torch

Changes = dict[str, dict[str, Any]]
FLOAT: Changes = {"hash": {"bits": 0}, "knn": {"distance": "cosine"}}


def _profile(objective: str, **loss: Any) -> Changes:
    return {"loss": {"objective": objective, **loss}, "hash": {"normalize": "batchnorm"}}


BARE: Changes = {
    "loss": {"objective": "plan"},
    "hash": {"normalize": "none", "shortcut": "none"},
    "training": {"closed_form": False},
}
PLAN: Changes = {
    **BARE,
    "loss": {"objective": "plan", "alignment": "cosine"},
    "fusion": {"standardise": "none", "init": "default"},
    "classifier": {"prior": False},
    "training": {
        "num_epochs": 30,
        "max_updates": 0,
        "early_stopping_patience": 5,
        "closed_form": False,
    },
    "optimizer": {"lr": 2e-4},
}
PROFILES: dict[str, Changes] = {
    "plan": PLAN,
    "plan-float": {**PLAN, **FLOAT},
    "plan-schedule": BARE,
    "plan-schedule-batchnorm": _profile("plan"),
    "pairwise": _profile("pairwise", code_weight=0.01),
    "central": _profile("central", code_weight=0.01),
    "orthogonal": _profile("orthogonal", code_weight=0.01),
    "discrete": _profile("discrete", code_weight=0.01),
    "discrete_pairwise": _profile("discrete_pairwise", code_weight=0.01),
    "float": {**_profile("plan"), **FLOAT},
}
"""Sections of params.yaml that each profile changes; ``plan`` has the plan's start, rate, epochs
and patience, too, ``float`` no bits: it is searched by cosine, the bound of what codes can keep."""

# Distances that need no more than the bits of an item.
SHORT_ITEMS = ("hamming", "asymmetric", "whitened")


class Bench:
    """The splits and embeddings that every profile is fitted on."""

    def __init__(self, params: Params, index: Path, embeddings: Path) -> None:
        dataset = read_index(index)
        self.params, self.labels, self.rows = params, dataset.labels(), SplitRows.of(dataset)
        self.vectors: Embeddings = load_embeddings(embeddings)
        self.policy = params.dataset.eval_caption
        self.train, self.val = training_splits(dataset, self.vectors, self.policy)

    def codes(self, changes: Changes, seed: int) -> HeadCodes:
        """Fit a profile and run it over every image."""
        params = changed(self.params, changes)
        config = head_config(params, self.vectors)
        settings = FitSettings.from_params(
            params.model_copy(update={"seed": seed}), params.monitored_vote
        )
        network = fit(config, self.train, self.val, settings).network
        soft, scores = encode_embeddings(network, self.vectors, self.policy, 512)
        return HeadCodes(soft, binarize(soft) if config.bits else None, scores)

    def figures(self, codes: HeadCodes, split: str) -> tuple[dict[str, float], Any]:
        """``knn`` and ``retrieval`` of a split in percent, and AP by query."""
        queries, database = self.rows.queries(split), self.rows.database_of(split)
        searchable = codes.searchable()
        index = build_index(searchable[database])
        distances = {"knn": "cosine"}
        if codes.packed is not None:
            distances = {"knn": "hamming", "knn_asymmetric": "asymmetric"}
            distances["knn_whitened"] = "whitened"
        retrieval = evaluate_retrieval(
            searchable[queries], searchable[database], self.labels[queries], self.labels[database]
        )
        by_query = retrieval.per_query["mAP@all"]
        percent = {"retrieval": float(by_query.mean()) * 100}
        for name, distance in distances.items():
            knn = self.params.knn.model_copy(update={"distance": distance})
            found = predict(codes, index, self.labels, database, queries, knn)
            scores, labels = found.scores["knn"], self.labels[queries]
            percent[name] = mean_average_precision(scores, labels).value * 100
        return {name: round(value, 2) for name, value in percent.items()}, by_query

    def best_vote(self, codes: HeadCodes) -> dict[str, float]:
        """MAP on val and test, in percent, of the vote that is best on val."""
        distances = ("cosine",) if codes.packed is None else SHORT_ITEMS
        knn = self.params.knn
        grid = evaluate_grid(
            codes,
            build_index(codes.searchable()[self.rows.database]),
            self.labels,
            self.rows,
            self.params.knn_grid.model_copy(update={"distance": distances}),
            shortlist=knn.shortlist,
            threshold=knn.threshold,
            top_n_tags=knn.top_n_tags,
        )
        _, figures = grid.best["knn"]
        return {split: round(figures[split]["mAP"] * 100, 2) for split in ("val", "test")}

    def untrained(self) -> dict[str, HeadCodes]:
        """ITQ, PCA-sign and LSH of the float embedding, and that embedding itself."""
        vectors = float_embedding(self.vectors.image, self.vectors.captions_by_policy(self.policy))
        bits, seed = self.params.hash.bits, self.params.seed
        codes = untrained_codes(vectors, self.rows.train, bits=bits, seed=seed)
        codes["float_embedding"] = codes.pop("float")
        return codes


def changed(params: Params, changes: Changes) -> Params:
    """``params`` with the values of some sections replaced, nothing shown while fitting."""
    logging = params.runtime.logging.model_copy(update={"progress": False})
    updates = {
        name: getattr(params, name).model_copy(update=values) for name, values in changes.items()
    }
    runtime = params.runtime.model_copy(update={"logging": logging})
    return params.model_copy(update={**updates, "runtime": runtime})


def compare(bench: Bench, names: list[str], seeds: list[int], tested: list[str]) -> dict[str, Any]:
    """Fit, print and collect; test figures of ``tested`` only."""
    result: dict[str, Any] = {"val": {}, "test": {}, "margin_on_test": {}}
    untrained = bench.untrained() if tested else {}
    queries: dict[str, Any] = {}
    for name, codes in untrained.items():
        result["test"][name], queries[name] = bench.figures(codes, "test")
        print(f"{name:20} test {result['test'][name]}", flush=True)
    # The plan first, for the others to be compared with.
    for name in sorted(names, key=lambda name: name != "plan"):
        for seed in seeds:
            codes = bench.codes(PROFILES[name], seed)
            figures, _ = bench.figures(codes, "val")
            best_vote = bench.best_vote(codes)
            figures["knn_best"] = best_vote["val"]
            result["val"].setdefault(name, {})[seed] = figures
            line = f"{name:20} seed {seed}: val {figures}"
            if name in tested:
                figures, by_query = bench.figures(codes, "test")
                figures["knn_best"] = best_vote["test"]
                result["test"].setdefault(name, {})[seed] = figures
                line += f", test {figures}"
                queries[f"{name} {seed}"] = by_query
                others = {other: queries[other] for other in untrained}
                if name != "plan" and f"plan {seed}" in queries:
                    others["plan"] = queries[f"plan {seed}"]
                for other, theirs in others.items():
                    gap = mean_difference(by_query, theirs, seed=0)
                    bounds = [round(100 * one, 2) for one in (gap.value, gap.low, gap.high)]
                    result["margin_on_test"].setdefault(f"{name}-{other}", {})[seed] = bounds
            print(line, flush=True)
    bits = {k: v for k, v in result["val"].items() if "float" not in k}
    means = {
        name: float(np.mean([one["knn"] + one["retrieval"] for one in by_seed.values()]))
        for name, by_seed in bits.items()
    }
    return {**result, "best": max(means, key=lambda name: means[name], default=None)}


def main() -> None:
    """Parse the command line."""
    folder = Path("outputs/mojicoco/siglip2-tiny")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(PROFILES), metavar="NAME")
    parser.add_argument("--test", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--index", type=Path, default=Path("data/mojicoco/index.parquet"))
    parser.add_argument("--embeddings", type=Path, default=folder / "embeddings")
    arguments = parser.parse_args()
    if unknown := sorted({*arguments.only, *arguments.test} - PROFILES.keys()):
        raise InputError(f"{', '.join(unknown)}: unknown", f"known: {', '.join(PROFILES)}")
    torch.set_num_threads(1)
    bench = Bench(load_params(), arguments.index, arguments.embeddings)
    print(json.dumps(compare(bench, arguments.only, arguments.seeds, arguments.test)))


if __name__ == "__main__":
    run_guarded(main)
