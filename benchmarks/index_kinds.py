"""Recall and cost of each kind of index against exhaustive search, as the database grows.

    python benchmarks/index_kinds.py [--sizes 117218 1e6 1e7] [--queries 1000] [--K 20]
                                     [--bits 64] [--threads 2] [--most-hnsw 1e6] [--only KIND ...]
    python benchmarks/index_kinds.py --codes outputs/DATASET/BACKBONE/codes [--index FILE] ...

makes clustered codes (items around centres that are themselves around a few themes, as codes of a
long-tailed dataset are), or takes those of a run: its test images are the queries, its database is
the database (by ``--index``, data/DATASET/index.parquet if it is not given). It builds every kind
with the defaults of params.yaml and some variations, and searches the same queries. ``recall`` is
the share of the K found that are as near as the true K-th neighbour, so ties are no misses;
``short`` the share of the queries with fewer than K. Times are of the search that the pipeline
runs, ties in order, the best of three (of one beyond ten seconds); ``speedup`` is against flat,
which is always there, in the same run. ``file_mb`` is the index on the disk, in MiB, and roughly in
memory. A kind that needs more memory than is free is left out, and so is the graph beyond
``--most-hnsw``, because one thread builds it. The last line is JSON: a row an index.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# The project first: it pins the CPU kernels before a numerical library is loaded.
from siglip2_multimodal_hash.arrays import Codes, check_size
from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.params import Flat, Hnsw, Ivf, Multihash
from siglip2_multimodal_hash.retrieval.index import CodeIndex, build_index, save_index
from siglip2_multimodal_hash.retrieval.index_kinds import Kind, name_of, resolved
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW, Neighbours
from siglip2_multimodal_hash.retrieval.search import search_hamming
from siglip2_multimodal_hash.retrieval.store import read_head_codes

# isort: split
import faiss
import numpy as np

# Items per cluster, and the shares of the bits that differ: a cluster from its theme, an item from
# its cluster. Like codes of a trained head: see the spread of distances that the run prints.
ITEMS_PER_CENTRE, THEMES = 50, 12
CENTRE_FLIPS, ITEM_FLIPS = 0.25, 0.08
BLOCK = 1_000_000
# Bytes per item, at most, of an index and of its construction, besides twice the codes.
BYTES = {"flat": 20, "ivf": 60, "multihash": 250, "hnsw": 600}
REPEATS, LONG = 3, 10.0
COLUMNS = ("recall", "short", "build_seconds", "ms_per_query", "speedup", "file_mb")


def clustered_codes(count: int, bits: int, seed: int) -> Codes:
    """Codes of ``count`` items in clusters of uneven size, uint8 [N, bits / 8]."""
    generator = np.random.default_rng(seed)
    themes = generator.integers(0, 2, (THEMES, bits), dtype=np.uint8)
    centres = max(1, count // ITEMS_PER_CENTRE)
    around = themes[generator.integers(0, THEMES, centres)]
    centre = np.packbits(around ^ (generator.random((centres, bits)) < CENTRE_FLIPS), axis=1)
    codes = np.empty((count, bits // 8), dtype=np.uint8)
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        # Squared, so that some clusters are far larger than others.
        chosen = (generator.random(size) ** 2 * centres).astype(np.int64)
        flips = generator.random((size, bits), dtype=np.float32) < ITEM_FLIPS
        codes[start : start + size] = centre[chosen] ^ np.packbits(flips, axis=1)
    return codes


def made_codes(size: int, queries: int, bits: int) -> tuple[Codes, Codes]:
    """Clustered codes of a database of ``size`` items, and of queries."""
    codes = clustered_codes(size + queries, bits, seed=0)
    # The items are in no order, so the last ones are as good a sample as any.
    return codes[:size], np.ascontiguousarray(codes[size:])


def codes_of_run(folder: Path, index: Path | None) -> tuple[Codes, Codes]:
    """Codes of a run's database, and of its test images.

    Args:
        folder: ``outputs/DATASET/BACKBONE/codes``.
        index: Of the dataset; ``data/DATASET/index.parquet`` of the same project if None.

    Raises:
        InputError: The run has no bits.
        DataError: A file is missing or damaged, or the two are not of the same dataset.
    """
    packed = read_head_codes(folder).packed
    if packed is None:
        raise InputError(f"{folder}: unit vectors, no codes", "set hash.bits, then `dvc repro`")
    dataset_folder = folder.resolve().parents[1]
    dataset = read_index(
        index or dataset_folder.parents[1] / "data" / dataset_folder.name / "index.parquet"
    )
    check_size("codes", len(packed), "images of the index", len(dataset.frame))
    return packed[dataset.rows("database")], packed[dataset.rows("test")]


def kinds(count: int) -> list[list[Kind]]:
    """The indexes to build, flat first: the defaults, each with other parameters of its search."""
    few = max(1, round(count**0.5) // 32)
    return [
        [Flat()],
        [Ivf(nlist=0, nprobe=0), Ivf(nlist=0, nprobe=few)],
        [
            Multihash(nhash=0, b=0, nflip=1),
            Multihash(nhash=0, b=0, nflip=2),
            Multihash(nhash=0, b=0, nflip=3),
        ],
        [
            Hnsw(M=16, ef_construction=80, ef_search=64),
            Hnsw(M=16, ef_construction=80, ef_search=128),
        ],
    ]


def measure(
    searches: list[Kind], database: Codes, queries: Codes, K: int
) -> Iterator[tuple[dict[str, Any], Neighbours]]:
    """Build and write an index, and search it with each of the parameters."""
    start = time.perf_counter()
    index = build_index(database, searches[0])
    built = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        save_index(Path(folder) / "index", index)
        size = (Path(folder) / "index").stat().st_size
    for kind in searches:
        found, seconds = timed_search(retuned(index, kind), queries, K)
        yield (
            {
                "items": len(database),
                "bits": database.shape[1] * 8,
                "kind": name_of(kind),
                **resolved(kind, len(database), database.shape[1] * 8).model_dump(),
                "short": round(float((found.rows == NO_ROW).any(axis=1).mean()), 4),
                "build_seconds": round(built, 2),
                "ms_per_query": round(1000 * seconds / len(queries), 4),
                "file_mb": round(size / 2**20, 2),
            },
            found,
        )


def retuned(index: CodeIndex, kind: Kind) -> CodeIndex:
    """The same index with other parameters of its search."""
    if isinstance(kind, Ivf):
        parameters = resolved(kind, index.meta.count, index.meta.bits)
        index.faiss_index.nprobe = parameters.model_dump()["nprobe"]
    elif isinstance(kind, Multihash):
        index.faiss_index.nflip = kind.nflip
    return replace(index, kind=kind)


def timed_search(index: CodeIndex, queries: Codes, K: int) -> tuple[Neighbours, float]:
    """The neighbours, and the fewest seconds of some searches."""
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < LONG:
        start = time.perf_counter()
        found = search_hamming(index, queries, K)
        times.append(time.perf_counter() - start)
    return found, min(times)


def recall(found: Neighbours, exact: Neighbours) -> float:
    """Share of the K that are as near as the true K-th."""
    near = found.similarities >= exact.similarities[:, -1:]
    return float((near & (found.rows != NO_ROW)).mean())


def compare(
    database: Codes, asked: Codes, K: int, selected: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """All selected kinds, and flat, on one database."""
    size, bits = len(database), database.shape[1] * 8
    print(f"{size:,} items, {len(asked):,} queries, {bits} bits, K = {K}", end=", ")
    rows: list[dict[str, Any]] = []
    exact: Neighbours | None = None
    for searches in kinds(size):
        name = name_of(searches[0])
        if exact and (not selected(name) or left_out(size, bits, name)):
            continue
        for row, found in measure(searches, database, asked, K):
            if exact is None:
                exact = found
                near = (1 - exact.similarities[:, [0, -1]].astype(float)).mean(axis=0) * bits
                print(f"mean distance of the nearest {near[0]:.1f}, of neighbour K {near[1]:.1f}")
            row["recall"] = round(recall(found, exact), 4)
            row["speedup"] = round((rows or [row])[0]["ms_per_query"] / row["ms_per_query"], 2)
            rows.append(row)
            print(table_line(row), flush=True)
    return rows


def table_line(row: dict[str, Any]) -> str:
    """One row of the table that is printed."""
    own = {k: v for k, v in row.items() if k not in {"items", "bits", "kind", *COLUMNS}}
    name = f"{row['kind']} {' '.join(f'{k}={v}' for k, v in own.items())}"
    return f"{row['items']:>11,}  {name:44}" + "".join(f"{row[column]:>15}" for column in COLUMNS)


def left_out(size: int, bits: int, name: str) -> bool:
    """Say that a kind needs more memory than is free, if it does."""
    needed = size * (2 * bits // 8 + BYTES[name])
    if needed <= free_bytes():
        return False
    print(f"{size:>11,}  {name} is left out: it needs {needed / 2**30:.1f} GiB of free memory")
    return True


def free_bytes() -> int:
    """Memory that is free, in bytes; without /proc, as much as one likes."""
    path = Path("/proc/meminfo")
    if not path.is_file():
        return sys.maxsize
    lines = path.read_text().splitlines()
    return int(next(one for one in lines if one.startswith("MemAvailable:")).split()[1]) * 1024


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    of_what = parser.add_mutually_exclusive_group()
    of_what.add_argument("--sizes", type=float, nargs="+", default=[117_218, 1e6])
    of_what.add_argument("--codes", type=Path, metavar="FOLDER", help="codes of a finished run")
    parser.add_argument("--index", type=Path, metavar="FILE", help="index of that run's dataset")
    parser.add_argument("--queries", type=int, help="default: 1000, or all test images of a run")
    parser.add_argument("--K", type=int, default=20)
    parser.add_argument(
        "--bits", type=int, default=64, choices=[16, 32, 64, 128], help="of made codes"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--most-hnsw", type=float, default=1e6)
    parser.add_argument("--only", nargs="+", default=list(BYTES), choices=list(BYTES))
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads to search, 1 to build")
    print(f"{'items':>11}  {'index':44}" + "".join(f"{column:>15}" for column in COLUMNS))
    rows: list[dict[str, Any]] = []
    for database, asked in databases(arguments):
        large = {"hnsw"} if len(database) > arguments.most_hnsw else set()
        selected = set(arguments.only) - large
        rows += compare(database, asked, arguments.K, selected.__contains__)
    print(json.dumps({"threads": arguments.threads, "rows": rows}))


def databases(arguments: argparse.Namespace) -> Iterator[tuple[Codes, Codes]]:
    """Codes of each database to search, and of its queries."""
    if arguments.codes:
        database, asked = codes_of_run(arguments.codes, arguments.index)
        yield database, asked[: arguments.queries]
        return
    for size in map(int, arguments.sizes):
        if not left_out(size, arguments.bits, "flat"):
            yield made_codes(size, arguments.queries or 1000, arguments.bits)


if __name__ == "__main__":
    run_guarded(main)
