"""Hash objectives on real data: captions of COCO's val2014 photos, with their real labels.

    python benchmarks/real_captions.py --annotations FOLDER [--seeds 0,1,2] [--row NAME:KEY=VALUE]

Train is Karpathy's restval (30,504 photos), val and test are his; a photo is its captions alone
(`fusion.modalities: caption`), embedded with what scikit-learn carries: TF-IDF over one and two
words, reduced to 256 dimensions by truncated SVD (latent semantic analysis), both fitted on the
captions of train. Rows are heads that differ from params.yaml in the keys named; `plan` and `float`
(0 bits) are always among them, and LSH, PCA-sign and ITQ codes of the same vectors stand beside.
FOLDER holds ``labels80_trainval2014.npz``, ``captions_val2014.json.gz`` and ``karpathy/``.

Prints val and test figures as a table; the last line is JSON with the same.
"""

import argparse
import gzip
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# The project first: it pins the CPU kernels before a numerical library is loaded.
from benchmarks.real_labels import read_real_labels
from siglip2_multimodal_hash.baselines.untrained import evaluate_untrained
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_by_search
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.params import PARAMS_FILE, Params, parse_params
from siglip2_multimodal_hash.presets import override_text, parse_assignment
from siglip2_multimodal_hash.retrieval.codes import binarize, unit_vectors
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.inference import encode_dataset
from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.splits import head_config

# isort: split
import numpy as np
from ruamel.yaml import YAML
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

DIMENSIONS = 256
CAPTION_ONLY = {"fusion.modalities": "caption", "fusion.type": "concat"}
FLOAT = {"hash.bits": 0, "knn.distance": "cosine"}


@dataclass(frozen=True, eq=False)
class RealCaptions:
    """N photos: ``labels`` uint8 [N, 80], ``embeddings`` of their captions, rows by split."""

    labels: np.ndarray
    embeddings: Embeddings
    rows: SplitRows


def read_real_captions(folder: Path) -> RealCaptions:
    """Embed the captions of restval, val and test."""
    known = read_real_labels(folder)
    try:
        with gzip.open(folder / "captions_val2014.json.gz", "rt", encoding="utf-8") as stream:
            records = json.load(stream)["annotations"]
        ids = {
            name: [int(line) for line in (folder / "karpathy" / f"{name}_ids.txt").open()]
            for name in ("restval", "val", "test")
        }
    except OSError as error:
        raise InputError(
            f"{error.filename}: {error.strerror}", "name another --annotations"
        ) from None
    captions: dict[int, list[str]] = {}
    for record in sorted(records, key=lambda record: record["id"]):
        captions.setdefault(record["image_id"], []).append(record["caption"])
    order = [one for name in ids for one in ids[name]]
    labels = np.zeros((len(order), 80), dtype=np.uint8)
    position = {one: number for number, one in enumerate(known.ids.tolist())}
    labelled = [(row, position[one]) for row, one in enumerate(order) if one in position]
    labels[[row for row, _ in labelled]] = known.labels[[number for _, number in labelled]]
    texts = [text for one in order for text in captions[one]]
    offsets = np.cumsum([0, *(len(captions[one]) for one in order)]).astype(np.int64)
    ends = np.cumsum([0, *(len(rows) for rows in ids.values())])
    train, val, test = (np.arange(a, b) for a, b in itertools.pairwise(ends))
    # Without a length of its own, every text would have the magnitude 1.
    tfidf = TfidfVectorizer(ngram_range=(1, 2), min_df=10, sublinear_tf=True, norm=None)
    svd = TruncatedSVD(DIMENSIONS, random_state=0)
    svd.fit(tfidf.fit_transform(texts[: offsets[len(train)]]))
    vectors = svd.transform(tfidf.transform(texts)).astype(np.float32)
    # A column that no head reads: there are no photos here.
    image = np.ones((len(order), 1), dtype=np.float32)
    prompt = np.ones((80, 1), dtype=np.float32)
    embeddings = Embeddings(image, vectors, offsets, prompt, meta={})
    return RealCaptions(labels, embeddings, SplitRows(train, val, test, database=train))


def with_values(values: Mapping[str, Any]) -> Params:
    """The parameters of params.yaml, some of them changed."""
    text = override_text(
        PARAMS_FILE.read_text(encoding="utf-8"), dict(values), source=str(PARAMS_FILE)
    )
    return parse_params(YAML(typ="safe", pure=True).load(text))


def head_figures(data: RealCaptions, params: Params) -> dict[str, Any]:
    """Fit one head on train, choose its epoch on val, evaluate."""
    vectors, rows = data.embeddings, data.rows
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
    soft, scores = encode_dataset(network, vectors.image, texts, 2048)
    codes = HeadCodes(soft, binarize(soft) if params.hash.bits else None, scores)
    return evaluate_by_search(codes, data.labels, rows, params.knn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seeds", default="0", help="such as 0,1,2")
    parser.add_argument(
        "--row", action="append", default=[], metavar="NAME:KEY=VALUE,...", help="one more head"
    )
    arguments = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {"params.yaml": {}, "float": FLOAT}
    for text in arguments.row:
        name, _, assignments = text.partition(":")
        rows[name] = dict(parse_assignment(one) for one in assignments.split(","))
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    data = read_real_captions(arguments.annotations)
    figures: dict[str, list[Any]] = {}
    for seed in seeds:
        for name, values in rows.items():
            params = with_values(CAPTION_ONLY | values | {"seed": seed})
            figures.setdefault(name, []).append(head_figures(data, params))
        params = with_values(CAPTION_ONLY | {"seed": seed})
        vectors = data.embeddings.captions_by_policy(params.dataset.eval_caption)
        untrained = evaluate_untrained(
            unit_vectors(vectors),
            data.labels,
            data.rows,
            params.knn,
            bits=params.hash.bits,
            seed=seed,
        )
        for name, found in untrained.items():
            figures.setdefault("directions" if name == "float" else name, []).append(found)
    table = {name: summary(found) for name, found in figures.items()}
    print(f"{'':<16}" + "".join(f"{column:>18}" for column in next(iter(table.values()))))
    for name, columns in table.items():
        print(f"{name:<16}" + "".join(f"{show(values):>18}" for values in columns.values()))
    print(json.dumps({"seeds": seeds, "rows": table}))


def summary(runs: Sequence[Any]) -> dict[str, list[float]]:
    """By split and figure, the values over the seeds."""
    return {
        f"{split} {label}": [float(run[part][split][key]) for run in runs]
        for split in ("val", "test")
        for label, part, key in (("knn", "knn", "mAP"), ("retrieval", "retrieval", "mAP@all"))
    }


def show(values: Sequence[float]) -> str:
    spread = f" ± {np.std(values, ddof=1) * 100:.1f}" if len(values) > 1 else ""
    return f"{np.mean(values) * 100:.1f}{spread}"


if __name__ == "__main__":
    run_guarded(main)
