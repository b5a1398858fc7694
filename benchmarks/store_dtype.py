"""Cost of embeddings in half precision: the error of the magnitude, and the final mAP.

    python benchmarks/store_dtype.py [--index FILE] [--embeddings FOLDER] [--seeds 42 43 44]

takes the embeddings of a finished `dvc repro` (float32), rounds them as `backbone.store_dtype:
float16` does, and runs the stages from `train` to `evaluate_knn` on both, once per seed, with
params.yaml as it is. The spread between the seeds is the scale for the difference between the two.
Errors are the largest over all images and captions. The last line is JSON: ``bytes_ratio``,
``magnitude_relative_error`` and ``log_magnitude_relative_error`` by modality, ``map`` (test mAP of
knn and mlp, retrieval mAP@all) by precision and seed, and of each figure ``mean_difference`` and
``seed_spread``.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import mean

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from siglip2_multimodal_hash.arrays import Vectors, save_array
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.files import read_json, write_json
from siglip2_multimodal_hash.params import Params, load_params
from stages import build_faiss_index, check_params, evaluate_knn, extract_hashes, train

SEEDS = (42, 43, 44)
DTYPES = ("float32", "float16")
# Name here -> where it stands in figures.json.
FIGURES = {
    "knn": ("knn", "test", "mAP"),
    "mlp": ("mlp", "test", "mAP"),
    "retrieval": ("retrieval", "test", "mAP@all"),
}


def rounded(embeddings: Embeddings, folder: Path) -> Embeddings:
    """The same embeddings by way of files in half precision."""
    folder.mkdir()
    save_array(folder / store.IMAGE, embeddings.image.astype("float16"))
    save_array(folder / store.CAPTION, embeddings.caption.astype("float16"))
    save_array(folder / store.OFFSETS, embeddings.caption_offsets)
    save_array(folder / store.PROMPT, embeddings.prompt)
    write_json(folder / store.META, embeddings.meta | {"dtype": "float16"})
    return load_embeddings(folder)


def largest_errors(exact: Vectors, close: Vectors, eps: float) -> tuple[float, float]:
    """Largest relative error of |v| and of log(|v| + eps) over the rows.

    Args:
        exact: [n, D].
        close: [n, D], the rounded ones.
        eps: As in the decomposition.
    """
    # Not above: the package pins the kernels before NumPy may be loaded.
    import numpy as np

    ours, theirs = (np.linalg.norm(v.astype(np.float64), axis=1) for v in (exact, close))
    logs, other_logs = np.log(ours + eps), np.log(theirs + eps)
    relative = np.abs(theirs - ours) / ours
    return float(relative.max()), float((np.abs(other_logs - logs) / np.abs(logs)).max())


def final_figures(params: Params, index: Path, embeddings: Path, work: Path) -> dict[str, float]:
    """The figures of :data:`FIGURES` after the stages from ``train`` to ``evaluate_knn``."""
    head, codes, faiss, out = (work / name for name in ("head", "codes", "faiss", "evaluation"))
    checked, vote, kept = (work / name for name in ("checked.json", "vote.json", "kept.json"))
    check_params.main(params, checked, vote, kept)
    train.main(params, index, embeddings, vote, head, work / "live")
    extract_hashes.main(params, embeddings, head, codes)
    build_faiss_index.main(params, index, codes, faiss)
    evaluate_knn.main(params, index, codes, faiss, out)
    figures = read_json(out / "figures.json")
    return {name: figures[a][b][c] for name, (a, b, c) in FIGURES.items()}


def compare(params: Params, index: Path, embeddings: Path, seeds: tuple[int, ...]) -> None:
    """Measure both precisions and print the figures."""
    exact = load_embeddings(embeddings)
    if exact.image.dtype != "float32":
        raise InputError(
            f"{embeddings}: made with backbone.store_dtype = float16",
            "embed again in float32: rounding twice shows nothing",
        )
    maps: dict[str, dict[int, dict[str, float]]] = {dtype: {} for dtype in DTYPES}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "float16"
        half = rounded(exact, folder)
        eps = params.decomposer.eps
        errors = {
            "image": largest_errors(exact.image, half.image, eps),
            "caption": largest_errors(exact.caption, half.caption, eps),
        }
        sizes = [_bytes(place) for place in (folder, embeddings)]
        for seed in seeds:
            for dtype, place in (("float32", embeddings), ("float16", folder)):
                seeded = params.model_copy(update={"seed": seed})
                work = Path(temporary) / f"{dtype}-{seed}"
                maps[dtype][seed] = final_figures(seeded, index, place, work)
                print(f"seed {seed}, {dtype}: {maps[dtype][seed]}", flush=True)
    result = {
        "images": len(exact.image),
        "captions": len(exact.caption),
        "bytes_ratio": round(sizes[0] / sizes[1], 4),
        "magnitude_relative_error": {name: pair[0] for name, pair in errors.items()},
        "log_magnitude_relative_error": {name: pair[1] for name, pair in errors.items()},
        "map": maps,
        "mean_difference": {
            name: mean(maps["float16"][seed][name] - maps["float32"][seed][name] for seed in seeds)
            for name in FIGURES
        },
        "seed_spread": {
            name: max(row[name] for row in maps["float32"].values())
            - min(row[name] for row in maps["float32"].values())
            for name in FIGURES
        },
    }
    print(json.dumps(result))


def _bytes(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in (store.IMAGE, store.CAPTION))


def main() -> None:
    """Parse the command line."""
    params = load_params()
    data = Path("data") / params.dataset.name
    outputs = Path("outputs") / params.dataset.name / params.backbone.name
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path, default=data / "index.parquet", metavar="FILE")
    parser.add_argument("--embeddings", type=Path, default=outputs / "embeddings", metavar="FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    quiet = params.runtime.logging.model_copy(update={"progress": False})
    runtime = params.runtime.model_copy(update={"logging": quiet})
    params = params.model_copy(update={"runtime": runtime})
    compare(params, arguments.index, arguments.embeddings, tuple(arguments.seeds))


if __name__ == "__main__":
    run_guarded(main)
