"""Time, memory and figures of the evaluation, against other implementations.

    python benchmarks/evaluate.py [--annotations FOLDER] [--loop-queries 200] [--scaling]

draws 64-bit codes that cluster by label: 5,000 queries and 117,218 items, by HashNet's lists and
with the real labels where FOLDER has them (``labels80_trainval2014.npz``, ``hashnet/``). Each part
runs in a process of its own, on two threads, and reports its seconds and its peak memory:

- retrieval: every figure of evaluation/ranking.py, against mAP@all by the argsort loop of published
  code, on the first 200 queries and scaled up; what the order of ties makes of the loop's value;
- classification: every figure of two splits of 5,000 x 80, against those that scikit-learn defines;
- vote: 20 neighbours by Hamming distance, equal weights, against faissknn, where it is installed.

``--scaling`` adds retrieval at growing sizes, and with all codes equal: one tie. The last line is
JSON. Goals: retrieval in 20 s and 2 GB, classification in 2 s.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.evaluation_parts import BITS, PARTS, save_codes
from benchmarks.hashnet_codes import draw_codes
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.kernels import THREADS

QUERIES, ITEMS = 5_000, 117_218
MOST_SECONDS, MOST_GB, MOST_CLASSIFICATION_SECONDS = 20, 2, 2
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def compare(
    annotations: Path | None, *, queries: int, items: int, loop_queries: int, scaling: bool
) -> dict[str, Any]:
    """Run every part and put the figures together."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        codes = draw_codes(queries, items, BITS, annotations)
        save_codes(folder, codes)
        size = f"{len(codes.query_codes)} x {len(codes.database_codes)}"
        print(f"codes: {size}, {BITS} bits, {THREADS} threads", flush=True)
        names = [name for name in PARTS if scaling or name != "scaling"]
        parts = {name: run_part(name, folder, loop_queries) for name in names}
    retrieval, loop = parts["retrieval"], parts["loop"]
    classification, scikit = parts["classification"], parts["scikit_learn"]
    vote, faissknn = parts["vote"], parts["faissknn"]
    result = {
        "device": f"cpu, {THREADS} threads",
        "queries": len(codes.query_codes),
        "items": len(codes.database_codes),
        "real_labels": annotations is not None,
        "retrieval_seconds": retrieval["seconds"],
        "peak_gb": retrieval["peak_gb"],
        "loop_queries": loop["queries"],
        "loop_seconds_scaled": round(loop["seconds"] * len(codes.query_codes) / loop["queries"], 1),
        "loop_peak_gb": loop["peak_gb"],
        "map": loop["map"],
        "classification_seconds": classification["seconds"],
        "scikit_learn_seconds": scikit["seconds"],
        "classification_speedup_vs_scikit_learn": ratio(scikit, classification),
        "largest_difference_to_scikit_learn": largest_difference(
            classification["figures"], scikit["figures"]
        ),
        "vote_seconds": vote["seconds"],
        "vote_peak_gb": vote["peak_gb"],
        "faissknn_seconds": faissknn["seconds"],
        "faissknn_peak_gb": faissknn["peak_gb"],
        "vote_speedup_vs_faissknn": ratio(faissknn, vote),
        "vote": {key: faissknn[key] for key in ("why_not", "tied", "unlike", "unlike_without_tie")},
        "scaling": parts.get("scaling", {}).get("rows"),
        "within_goal": retrieval["seconds"] <= MOST_SECONDS
        and retrieval["peak_gb"] <= MOST_GB
        and classification["seconds"] <= MOST_CLASSIFICATION_SECONDS,
    }
    result["speedup_vs_argsort"] = round(
        result["loop_seconds_scaled"] / result["retrieval_seconds"], 2
    )
    return result


def run_part(name: str, folder: Path, loop_queries: int) -> dict[str, Any]:
    """Run one part in a process of its own, and print what it found."""
    command = [sys.executable, str(Path(__file__).resolve()), "--part", name, str(folder)]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(THREADS))
    done = subprocess.run(
        [*command, "--loop-queries", str(loop_queries)],
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise InputError(f"the part {name} failed with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    shown = {key: value for key, value in found.items() if key != "figures"}
    print(f"{name}: {json.dumps(shown)}", flush=True)
    return found


def ratio(theirs: dict[str, Any], ours: dict[str, Any]) -> float | None:
    """Ratios of their times to ours; None where they did not run."""
    if theirs["seconds"] is None:
        return None
    return round(float(theirs["seconds"] / ours["seconds"]), 2)


def largest_difference(ours: Any, theirs: Any) -> float:
    """Over the figures that both have, in nested dicts."""
    if isinstance(theirs, dict):
        return max(largest_difference(ours[name], theirs[name]) for name in theirs)
    return abs(float(ours) - float(theirs))


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", type=Path, metavar="FOLDER", help="real labels and lists")
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--loop-queries", type=int, default=200, help="that the argsort loop runs")
    parser.add_argument("--scaling", action="store_true", help="time by size, and by ties")
    parser.add_argument("--part", nargs=2, metavar=("NAME", "FOLDER"), help="one part only")
    arguments = parser.parse_args()
    if arguments.loop_queries < 1 or arguments.queries < 4 or arguments.items < 100:
        raise InputError("at least --queries 4, --items 100 and --loop-queries 1 are needed")
    if arguments.part:
        name, folder = arguments.part
        print(json.dumps(PARTS[name](Path(folder), arguments.loop_queries)))
        return
    result = compare(
        arguments.annotations,
        queries=arguments.queries,
        items=arguments.items,
        loop_queries=arguments.loop_queries,
        scaling=arguments.scaling,
    )
    print(json.dumps(result))


if __name__ == "__main__":
    run_guarded(main)
